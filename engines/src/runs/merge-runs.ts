// The job that makes one run of several: records that a newer one overwrites are left out, the others keep their
// bytes and their order, oldest run first, so that stretches which did not change stay the same stretches. The
// output follows from the inputs alone, byte for byte.
//
// An input may keep its layout: its records part is copied whole, so that each of its records lies at a fixed
// distance from where it was, and nothing has to be told where they went. What is overwritten keeps its bytes then,
// but is not listed any more.
//
// Two readings of the inputs at most times (see live-records.ts), one writing. Memory: at first 5 bytes a record of the
// inputs and at most 64 MiB, then 1 of the inputs and 12 a live one (hashes of the output), and a few buffers of 1 MiB.
//
// A crash leaves at most a temporary file, which the directory removes when it is opened.

import { decodeRecord, RecordCursor } from "../base/record.ts"
import { defineBackgroundJob, type Executor } from "../io/executor.ts"
import type { FileSystem } from "../io/file-system.ts"
import { LiveRecords } from "./live-records.ts"
import type { Relocations } from "./relocations.ts"
import type { RunFigures } from "./run.ts"
import { RunFile, type RunPage } from "./run-file.ts"
import { runDamage } from "./run-format.ts"
import { type RunOrigin, RunWriter } from "./run-writer.ts"

export interface MergeInput {
  /** Paths, newest first. */
  readonly inputs: readonly string[]
  /** Positions in `inputs` of those that keep their layout. */
  readonly keptInputs?: readonly number[]
  readonly output: RunOrigin
  readonly outputPath: string
  /** Leave tombstones out: no older run holds their keys. */
  readonly dropsTombstones: boolean
}

export interface MergeOutput {
  /** Of the published, durable output; it may have no records. */
  readonly figures: RunFigures
  readonly relocations: Relocations
}

/** @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FULL`, `STORAGE_FAILED`; no output is there then */
export const mergeRuns = defineBackgroundJob<MergeInput, MergeOutput>(
  import.meta.url,
  "mergeRuns",
  async ({ fileSystem }, { inputs, keptInputs = [], output, outputPath, dropsTombstones }) => {
    const runs: RunFile[] = []
    try {
      for (const path of inputs) {
        const run = await RunFile.open(fileSystem, path)
        runs.push(run)
        if (run.hashSeed !== output.hashSeed) throw runDamage(path, `its hash seed is not ${output.hashSeed}`)
      }
      const live = await LiveRecords.find(runs)
      return await writeLive(fileSystem, runs, live, { keptInputs, output, outputPath, dropsTombstones })
    } finally {
      for (const run of runs) await run.close()
    }
  },
)

/** `mergeRuns` as an engine names it. */
export function mergeHashedRuns(executor: Executor, input: MergeInput): Promise<MergeOutput> {
  return executor.run(mergeRuns, input)
}

async function writeLive(
  fileSystem: FileSystem,
  runs: readonly RunFile[],
  live: LiveRecords,
  { keptInputs = [], output, outputPath, dropsTombstones }: Omit<MergeInput, "inputs">,
): Promise<MergeOutput> {
  const keptOffsets = runs.map(() => -1)
  const writer = await RunWriter.create(fileSystem, outputPath, output)
  try {
    for (let input = runs.length - 1; input >= 0; input--) {
      const run = runs[input]!
      const isLive = (index: number): boolean => live.isLive(input, index)
      if (keptInputs.includes(input)) {
        keptOffsets[input] = writer.recordsBytes
        await copyWhole(run, writer, isLive, dropsTombstones)
      } else {
        for await (const page of run.scan()) await copyPage(page, writer, isLive, dropsTombstones)
      }
    }
    const relocations = { live: runs.map((_, input) => live.bits(input)), keptOffsets, dropsTombstones }
    return { figures: await writer.finish(), relocations }
  } catch (error) {
    await writer.abandon()
    throw error
  }
}

/** Copies the records part of a run as it is, and lists those of its records that are live. */
async function copyWhole(
  run: RunFile,
  writer: RunWriter,
  isLive: (index: number) => boolean,
  dropsTombstones: boolean,
): Promise<void> {
  const start = writer.recordsBytes
  for await (const bytes of run.records()) {
    const pending = writer.append(bytes)
    if (pending !== undefined) await pending
  }
  for await (const page of run.hashes()) {
    for (let i = 0; i < page.count; i++) {
      const isTombstone = page.tombstone[i] === 1
      if (!isLive(page.first + i) || (isTombstone && dropsTombstones)) continue
      writer.entry(page.h1[i]!, page.h2[i]!, start + page.offset[i]!, isTombstone)
    }
  }
}

/** Copies the live records of a page; those that lie side by side go as one stretch. */
async function copyPage(
  { bytes, bytesOffset, hashes, from, to }: RunPage,
  writer: RunWriter,
  isLive: (index: number) => boolean,
  dropsTombstones: boolean,
): Promise<void> {
  const cursor = new RecordCursor()
  let stretchStart = 0
  let stretchEnd = 0
  for (let i = from; i < to; i++) {
    const isTombstone = hashes.tombstone[i] === 1
    if (!isLive(hashes.first + i) || (isTombstone && dropsTombstones)) continue
    decodeRecord(bytes, hashes.offset[i]! - bytesOffset, bytes.length, cursor)
    if (cursor.start !== stretchEnd) {
      const pending = writer.append(bytes.subarray(stretchStart, stretchEnd))
      if (pending !== undefined) await pending
      stretchStart = cursor.start
    }
    stretchEnd = cursor.end
    const offset = writer.recordsBytes + (cursor.start - stretchStart)
    writer.entry(hashes.h1[i]!, hashes.h2[i]!, offset, isTombstone)
  }
  await writer.append(bytes.subarray(stretchStart, stretchEnd))
}
