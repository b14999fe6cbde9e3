// A job for another thread: reads a run once, proves it, and names its chunks. A damaged run never becomes a part
// of a version: blocks are checked against the run's own checksums before they are hashed.
//
// Memory: one buffer, the run's checksums (1 byte a KiB) and 41 bytes for each chunk.

import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { EngineError } from "../base/error.ts"
import { defineBackgroundJob, defineJob, type JobContext } from "../io/executor.ts"
import type { File } from "../io/file-system.ts"
import type { RunFigures } from "../runs/run.ts"
import { RunFile } from "../runs/run-file.ts"
import { RUN_BLOCK_BYTES, runDamage } from "../runs/run-format.ts"
import { type ChunkList, ChunkListBuilder } from "./chunk-list.ts"
import { Chunker, type ChunkingParameters } from "./chunker.ts"
import { regionKinds } from "./region-kind.ts"

/** Blocks of a run that are read at a time: 1 MiB. */
const READ_BLOCKS = 256

export interface CutRunInput {
  /** Absolute path of the run. */
  readonly path: string
  readonly figures: RunFigures
  readonly parameters: ChunkingParameters
}

/**
 * Resolves the chunks of a run in file order.
 * @throws (rejects) EngineError `DATA_LOSS` when the file is missing, damaged, or another run than `figures` say;
 * `FORMAT_NEWER`, `STORAGE_FAILED`
 */
export const cutRun = defineJob(import.meta.url, "cutRun", cut)

/** The same for a run that nobody waits for, behind the merges: it may be long. */
export const cutMergedRun = defineBackgroundJob(import.meta.url, "cutMergedRun", cut)

async function cut(context: JobContext, input: CutRunInput): Promise<ChunkList> {
  const run = await RunFile.open(context.fileSystem, input.path)
  try {
    const { id, bytes } = input.figures
    if (run.figures.id !== id || run.figures.bytes !== bytes) {
      throw runDamage(
        input.path,
        `it is run ${run.figures.id} of ${run.figures.bytes} bytes, not ${id} of ${bytes}`,
      )
    }
    const file = await context.fileSystem.open(input.path, "read")
    if (file === undefined) throw new EngineError("DATA_LOSS", `run ${input.path} is missing`)
    try {
      return await cutFile(run, file, input.parameters)
    } finally {
      await file.close()
    }
  } finally {
    await run.close()
  }
}

async function cutFile(run: RunFile, file: File, parameters: ChunkingParameters): Promise<ChunkList> {
  const { bytes, recordsBytes } = run.figures
  // Behind the blocks: their checksums, directory and trailer, which were checked when the run was opened.
  const { blocksEnd } = run
  const chunker = new Chunker(parameters, { recordsBytes, fileBytes: bytes })
  const chunks = new ChunkSink()
  const buffer = new Uint8Array(Math.min(READ_BLOCKS, Math.ceil(bytes / RUN_BLOCK_BYTES)) * RUN_BLOCK_BYTES)
  while (chunker.position < bytes) {
    const isBlocks = chunker.position < blocksEnd
    const sourceStart = isBlocks ? chunker.position - (chunker.position % RUN_BLOCK_BYTES) : chunker.position
    const source = isBlocks
      ? await readBlocks(run, buffer, sourceStart, blocksEnd)
      : await readRest(run, file, buffer, sourceStart)
    for (;;) {
      const from = chunker.position
      const found = chunker.advance(source, sourceStart)
      if (found === "malformed") throw runDamage(run.path, `no record starts at byte ${chunker.position}`)
      chunks.push(source.subarray(from - sourceStart, chunker.position - sourceStart))
      if (found === "more") break
      chunks.endChunk(chunker.isInRecords ? regionKinds.records : regionKinds.index)
      chunker.startChunk()
      if (chunker.position === bytes) break
    }
  }
  return chunks.build()
}

async function readBlocks(
  run: RunFile,
  buffer: Uint8Array,
  start: number,
  blocksEnd: number,
): Promise<Uint8Array> {
  const count = Math.min(buffer.length, blocksEnd - start) / RUN_BLOCK_BYTES
  return buffer.subarray(0, await run.readBlocks(start / RUN_BLOCK_BYTES, Math.ceil(count), buffer))
}

async function readRest(run: RunFile, file: File, buffer: Uint8Array, start: number): Promise<Uint8Array> {
  const source = buffer.subarray(0, Math.min(buffer.length, run.figures.bytes - start))
  if ((await file.read(source, start)) !== source.length) throw runDamage(run.path, "it became shorter")
  return source
}

/** Names chunks as their bytes go by. */
class ChunkSink {
  readonly #list = new ChunkListBuilder()
  #hash = createHash("sha256")
  #crc = 0
  #bytes = 0

  push(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#crc = crc32(bytes, this.#crc)
    this.#bytes += bytes.length
  }

  endChunk(kind: number): void {
    this.#list.add(kind, this.#bytes, this.#crc, this.#hash.digest())
    this.#hash = createHash("sha256")
    this.#crc = 0
    this.#bytes = 0
  }

  build(): ChunkList {
    return this.#list.build()
  }
}
