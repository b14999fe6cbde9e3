// The job that compares the keys of many records on disk with keys that are given: off the caller's thread, and sorted
// by where the records lie, so that one read serves all that lie near each other.
//
//   records wanted    ..x...x....x.................................x.x......
//   spans read          |--------|                                 |-|
//
// A read costs its thread a call to the system whatever it brings: one of a span of 64 blocks costs about as much as
// three of a block. Of ten thousand overwrites spread over a hundred MiB each read serves ten.

import { equalBytes } from "../base/bytes.ts"
import { decodeRecordKey, RECORD_HEADER_BYTES_MAX, RecordCursor } from "../base/record.ts"
import { defineJob } from "../io/executor.ts"
import type { FileSystem } from "../io/file-system.ts"
import { RunFile } from "../runs/run-file.ts"
import { RUN_BLOCK_BYTES, runDamage } from "../runs/run-format.ts"

/** Blocks of one read, unless a single key is longer. */
const SPAN_BLOCKS_MAX = 64
/** Blocks between two records that are read and not used: reading them costs less than another read. */
const GAP_BLOCKS_MAX = 8
/** Spans read at the same time: a disk is fast only when it is asked several things at once. */
const READS_AT_ONCE = 8

/** Entry `i` of each array is one record. */
export interface CompareKeysInput {
  /** Paths of runs. */
  readonly paths: readonly string[]
  /** Position in `paths`. */
  readonly run: Uint16Array
  /** Of the record, in the run. */
  readonly offset: Float64Array
  /** The keys, one behind the other, and where each ends. */
  readonly keys: Uint8Array
  readonly keyEnd: Uint32Array
}

/**
 * The numbers of the records that have another key than the one given, ascending.
 * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FAILED`
 */
export const compareKeys = defineJob<CompareKeysInput, Uint32Array>(
  import.meta.url,
  "compareKeys",
  async ({ fileSystem }, input) => {
    const byPlace = Uint32Array.from(input.offset.keys())
    byPlace.sort((a, b) => input.run[a]! - input.run[b]! || input.offset[a]! - input.offset[b]!)
    const different: number[] = []
    for (let from = 0, to = 0; from < byPlace.length; from = to) {
      const run = input.run[byPlace[from]!]!
      while (to < byPlace.length && input.run[byPlace[to]!]! === run) to++
      const entries = byPlace.subarray(from, to)
      different.push(...(await compareInRun(fileSystem, input.paths[run]!, input, entries)))
    }
    return Uint32Array.from(different).sort()
  },
)

/** Those of `entries`, which are in the order of their offsets, that differ. */
async function compareInRun(
  fileSystem: FileSystem,
  path: string,
  input: CompareKeysInput,
  entries: Uint32Array,
): Promise<number[]> {
  const file = await RunFile.open(fileSystem, path)
  try {
    const different: number[] = []
    let next = 0
    const compareSpans = async (): Promise<void> => {
      const spans = new SpanReader(file, input)
      while (next < entries.length) {
        const from = next
        const to = spans.plan(entries, from)
        // Another lane goes on from there while this one reads.
        next = to
        await spans.read()
        for (let i = from; i < to; i++) if (!spans.hasKey(entries[i]!)) different.push(entries[i]!)
      }
    }
    const lanes = Array.from({ length: READS_AT_ONCE }, compareSpans)
    // All have ended before the file is closed, also when one has failed.
    for (const ended of await Promise.allSettled(lanes)) if (ended.status === "rejected") throw ended.reason
    return different
  } finally {
    await file.close()
  }
}

/** One span of a run at a time. */
class SpanReader {
  readonly #file: RunFile
  readonly #input: CompareKeysInput
  readonly #cursor = new RecordCursor()
  #buffer = new Uint8Array(SPAN_BLOCKS_MAX * RUN_BLOCK_BYTES)
  #first = 0
  #count = 0
  #bytes = 0

  constructor(file: RunFile, input: CompareKeysInput) {
    this.#file = file
    this.#input = input
  }

  /** Plans the span that begins with the record of `entries[from]`; returns the first of `entries` behind it. */
  plan(entries: Uint32Array, from: number): number {
    this.#first = Math.floor(this.#input.offset[entries[from]!]! / RUN_BLOCK_BYTES)
    let end = this.#endBlock(entries[from]!)
    let to = from + 1
    for (; to < entries.length; to++) {
      const entry = entries[to]!
      const blockEnd = this.#endBlock(entry)
      if (Math.floor(this.#input.offset[entry]! / RUN_BLOCK_BYTES) > end + GAP_BLOCKS_MAX) break
      if (blockEnd > this.#first + SPAN_BLOCKS_MAX) break
      end = Math.max(end, blockEnd)
    }
    this.#count = end - this.#first
    return to
  }

  /** Reads the span that was planned. */
  async read(): Promise<void> {
    const length = this.#count * RUN_BLOCK_BYTES
    if (this.#buffer.length < length) this.#buffer = new Uint8Array(length)
    const read = await this.#file.readBlocks(this.#first, this.#count, this.#buffer)
    this.#bytes = Math.min(read, this.#file.figures.recordsBytes - this.#first * RUN_BLOCK_BYTES)
  }

  /** Whether the record of an entry of the span has the entry's key. */
  hasKey(entry: number): boolean {
    const { offset, keys, keyEnd } = this.#input
    const keyStart = entry === 0 ? 0 : keyEnd[entry - 1]!
    const keyBytes = keyEnd[entry]! - keyStart
    const at = offset[entry]! - this.#first * RUN_BLOCK_BYTES
    const cursor = this.#cursor
    if (!decodeRecordKey(this.#buffer, at, this.#bytes, cursor)) {
      // Its key may be longer than the one given, and end behind the span.
      this.#file.checkedRecordBytes(this.#buffer.subarray(0, this.#bytes), at, offset[entry]!)
      return false
    }
    if (cursor.keyEnd - cursor.keyStart !== keyBytes) return false
    return equalBytes(this.#buffer, cursor.keyStart, keys, keyStart, keyBytes)
  }

  /** The block behind the last one that a key of the given length can reach into. */
  #endBlock(entry: number): number {
    const { offset, keyEnd } = this.#input
    const keyBytes = keyEnd[entry]! - (entry === 0 ? 0 : keyEnd[entry - 1]!)
    const { recordsBytes } = this.#file.figures
    if (offset[entry]! >= recordsBytes) throw runDamage(this.#file.path, `it has no byte ${offset[entry]!}`)
    const end = Math.min(offset[entry]! + RECORD_HEADER_BYTES_MAX + keyBytes, recordsBytes)
    return Math.ceil(end / RUN_BLOCK_BYTES)
  }
}
