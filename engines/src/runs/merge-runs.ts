// The job that makes one run of several: records that a newer one overwrites are left out, the others keep their
// bytes and their order, oldest run first, so that stretches which did not change stay the same stretches. The
// output follows from the inputs alone, byte for byte.
//
// An input may keep its layout: its records part is copied whole, so that each of its records lies at a fixed
// distance from where it was, and nothing has to be told where they went. What is overwritten keeps its bytes then,
// but is not listed any more.
//
// Two readings of the inputs at most times (see live-records.ts), one writing. Memory: 16 bytes a record of the
// inputs, then 37 a live one (relocations 25, hashes of the output 12), and a few buffers of 1 MiB.
//
// A crash leaves at most a temporary file, which the directory removes when it is opened.

import { decodeRecord, RecordCursor } from "../base/record.ts"
import { defineBackgroundJob, type Executor } from "../io/executor.ts"
import type { FileSystem } from "../io/file-system.ts"
import type { HashPage } from "./hash-page.ts"
import { LiveRecords } from "./live-records.ts"
import type { RunFigures } from "./run.ts"
import { RunFile, type RunPage } from "./run-file.ts"
import { runDamage } from "./run-format.ts"
import { type RunOrigin, RunWriter } from "./run-writer.ts"

/**
 * Where records went: index `i` of each array, `i` in `[0, count)`, is one record that was live among the inputs,
 * oldest input first, in file order. Of inputs that keep their layout only dropped tombstones are named.
 */
export interface Relocations {
  readonly count: number
  readonly h1: Uint32Array
  readonly h2: Uint16Array
  /** 1 for a tombstone, else 0. */
  readonly tombstone: Uint8Array
  /** Position of the run in `inputs`, which are newest first. */
  readonly input: Uint16Array
  readonly inputOffset: Float64Array
  /** Offset in the output, or RELOCATION_DROPPED for a tombstone that is gone. */
  readonly outputOffset: Float64Array
  /** For each input that has kept its layout the offset of its first byte in the output; -1 for the others. */
  readonly keptOffsets: readonly number[]
}

export const RELOCATION_DROPPED = -1

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
  const relocations = makeRelocations(live.count(), keptOffsets)
  const writer = await RunWriter.create(fileSystem, outputPath, output)
  try {
    for (let input = runs.length - 1; input >= 0; input--) {
      const run = runs[input]!
      const isLive = (index: number): boolean => live.isLive(input, index)
      const options = { relocations, input, dropsTombstones }
      if (keptInputs.includes(input)) {
        keptOffsets[input] = writer.recordsBytes
        await copyWhole(run, writer, isLive, options)
      } else {
        for await (const page of run.scan()) await copyPage(page, writer, isLive, options)
      }
    }
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
  { relocations, input, dropsTombstones }: CopyOptions,
): Promise<void> {
  const start = writer.recordsBytes
  for await (const bytes of run.records()) {
    const pending = writer.append(bytes)
    if (pending !== undefined) await pending
  }
  for await (const page of run.hashes()) {
    for (let i = 0; i < page.count; i++) {
      if (!isLive(page.first + i)) continue
      const isTombstone = page.tombstone[i] === 1
      if (isTombstone && dropsTombstones) relocate(relocations, page, i, input, RELOCATION_DROPPED)
      else writer.entry(page.h1[i]!, page.h2[i]!, start + page.offset[i]!, isTombstone)
    }
  }
}

/** Copies the live records of a page; those that lie side by side go as one stretch. */
async function copyPage(
  { bytes, bytesOffset, hashes, from, to }: RunPage,
  writer: RunWriter,
  isLive: (index: number) => boolean,
  { relocations, input, dropsTombstones }: CopyOptions,
): Promise<void> {
  const cursor = new RecordCursor()
  let stretchStart = 0
  let stretchEnd = 0
  for (let i = from; i < to; i++) {
    if (!isLive(hashes.first + i)) continue
    const isTombstone = hashes.tombstone[i] === 1
    let outputOffset = RELOCATION_DROPPED
    if (!isTombstone || !dropsTombstones) {
      decodeRecord(bytes, hashes.offset[i]! - bytesOffset, bytes.length, cursor)
      if (cursor.start !== stretchEnd) {
        const pending = writer.append(bytes.subarray(stretchStart, stretchEnd))
        if (pending !== undefined) await pending
        stretchStart = cursor.start
      }
      stretchEnd = cursor.end
      outputOffset = writer.recordsBytes + (cursor.start - stretchStart)
      writer.entry(hashes.h1[i]!, hashes.h2[i]!, outputOffset, isTombstone)
    }
    relocate(relocations, hashes, i, input, outputOffset)
  }
  await writer.append(bytes.subarray(stretchStart, stretchEnd))
}

function relocate(
  relocations: Mutable<Relocations>,
  hashes: HashPage,
  i: number,
  input: number,
  outputOffset: number,
): void {
  const at = relocations.count++
  relocations.h1[at] = hashes.h1[i]!
  relocations.h2[at] = hashes.h2[i]!
  relocations.tombstone[at] = hashes.tombstone[i]!
  relocations.input[at] = input
  relocations.inputOffset[at] = hashes.offset[i]!
  relocations.outputOffset[at] = outputOffset
}

interface CopyOptions {
  readonly relocations: Mutable<Relocations>
  readonly input: number
  readonly dropsTombstones: boolean
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

function makeRelocations(capacity: number, keptOffsets: readonly number[]): Mutable<Relocations> {
  return {
    count: 0,
    h1: new Uint32Array(capacity),
    h2: new Uint16Array(capacity),
    tombstone: new Uint8Array(capacity),
    input: new Uint16Array(capacity),
    inputOffset: new Float64Array(capacity),
    outputOffset: new Float64Array(capacity),
    keptOffsets,
  }
}
