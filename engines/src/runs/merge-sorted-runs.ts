// The job that makes one sorted run of several: a merge of k streams by a heap. Of a key that several inputs hold
// the newest record stays. The output follows from the inputs alone, byte for byte.
//
// One reading of the inputs, one writing. Cost per record: log2 k comparisons of keys, one copy, no allocation.
// Memory: a window of 1 MiB an input, 8 bytes a record of the output, and a few buffers.

import { compareRanges } from "../base/bytes.ts"
import { defineBackgroundJob, type JobContext } from "../io/executor.ts"
import type { MergeInput, MergeOutput } from "./merge-runs.ts"
import { RecordStream } from "./record-stream.ts"
import type { Relocations } from "./relocations.ts"
import { RunFile } from "./run-file.ts"
import { runDamage } from "./run-format.ts"
import { type SortedRunShape, SortedRunWriter } from "./sorted-run-writer.ts"

/** Blocks of an input read at a time: 1 MiB. */
const WINDOW_BLOCKS = 256

export interface MergeSortedInput extends MergeInput {
  readonly shape: SortedRunShape
}

/** @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `STORAGE_FULL`, `STORAGE_FAILED`; no output is there then */
export const mergeSortedRuns = defineBackgroundJob<MergeSortedInput, MergeOutput>(
  import.meta.url,
  "mergeSortedRuns",
  async (context, input) => {
    const runs: RunFile[] = []
    try {
      for (const path of input.inputs) {
        const run = await RunFile.open(context.fileSystem, path)
        runs.push(run)
        if ("hashes" in run.layout.index) throw runDamage(path, "it is not sorted by key")
      }
      return await writeMerged(context, runs, input)
    } finally {
      for (const run of runs) await run.close()
    }
  },
)

async function writeMerged(
  { fileSystem }: JobContext,
  runs: readonly RunFile[],
  { output, outputPath, dropsTombstones, shape }: MergeSortedInput,
): Promise<MergeOutput> {
  const writer = await SortedRunWriter.create(fileSystem, outputPath, output, shape)
  try {
    const heap = new StreamHeap()
    for (const [age, run] of runs.entries()) {
      const stream = new RecordStream(run, WINDOW_BLOCKS)
      if (await stream.advance()) heap.push(stream, age)
    }
    for (let stream = heap.first; stream !== undefined; stream = heap.first) {
      if (!dropsTombstones || !stream.cursor.isTombstone) {
        const pending = writer.add(stream, stream.cursor)
        if (pending !== undefined) await pending
      }
      const older = heap.dropOlder()
      if (older !== undefined) await older
      const advanced = stream.advance()
      heap.settle(typeof advanced === "boolean" ? advanced : await advanced)
    }
    return { figures: await writer.finish(), relocations: noRelocations(runs.length) }
  } catch (error) {
    await writer.abandon()
    throw error
  }
}

/** Streams by their present keys, of equal keys the newest run's first. */
export class StreamHeap {
  readonly #streams: RecordStream[] = []
  /** Of each stream in `#streams`: 0 for the newest run. */
  readonly #ages: number[] = []

  /** The one with the lowest key. */
  get first(): RecordStream | undefined {
    return this.#streams[0]
  }

  push(stream: RecordStream, age: number): void {
    this.#streams.push(stream)
    this.#ages.push(age)
    for (let at = this.#streams.length - 1; at > 0; ) {
      const parent = (at - 1) >>> 1
      if (!this.#isBefore(at, parent)) break
      this.#swap(at, parent)
      at = parent
    }
  }

  /** The first stream has moved on, or has ended. */
  settle(hasRecord: boolean): void {
    if (hasRecord) this.#sink(0)
    else this.#remove(0)
  }

  /** Moves all streams but the first one over records with its key. Undefined, or a promise when one has to read. */
  dropOlder(): Promise<void> | undefined {
    // The next in order is a child of the first.
    for (let child = this.#equalChild(); child !== 0; child = this.#equalChild()) {
      const advanced = this.#streams[child]!.advance()
      if (typeof advanced !== "boolean") return this.#dropOlderLater(child, advanced)
      this.#settleAt(child, advanced)
    }
    return undefined
  }

  async #dropOlderLater(child: number, advanced: Promise<boolean>): Promise<void> {
    this.#settleAt(child, await advanced)
    const rest = this.dropOlder()
    if (rest !== undefined) await rest
  }

  /** 1 or 2, when that child has the key of the first; else 0. */
  #equalChild(): number {
    for (let child = 1; child <= 2 && child < this.#streams.length; child++) {
      if (this.#compareKeys(child, 0) === 0) return child
    }
    return 0
  }

  #settleAt(at: number, hasRecord: boolean): void {
    if (hasRecord) this.#sink(at)
    else this.#remove(at)
  }

  #remove(at: number): void {
    const last = this.#streams.length - 1
    this.#swap(at, last)
    this.#streams.pop()
    this.#ages.pop()
    // What took its place came from below it, or from another branch, where keys are not below the first one's.
    if (at < last) this.#sink(at)
  }

  #sink(start: number): void {
    const count = this.#streams.length
    for (let at = start; ; ) {
      const left = 2 * at + 1
      if (left >= count) return
      const right = left + 1
      const child = right < count && this.#isBefore(right, left) ? right : left
      if (!this.#isBefore(child, at)) return
      this.#swap(child, at)
      at = child
    }
  }

  #isBefore(a: number, b: number): boolean {
    const order = this.#compareKeys(a, b)
    return order < 0 || (order === 0 && this.#ages[a]! < this.#ages[b]!)
  }

  #compareKeys(a: number, b: number): number {
    const left = this.#streams[a]!
    const right = this.#streams[b]!
    return compareRanges(
      left.bytes,
      left.cursor.keyStart,
      left.cursor.keyEnd,
      right.bytes,
      right.cursor.keyStart,
      right.cursor.keyEnd,
    )
  }

  #swap(a: number, b: number): void {
    const stream = this.#streams[a]!
    const age = this.#ages[a]!
    this.#streams[a] = this.#streams[b]!
    this.#ages[a] = this.#ages[b]!
    this.#streams[b] = stream
    this.#ages[b] = age
  }
}

/** Nothing refers to records of sorted runs: nobody has to hear where they went. */
function noRelocations(inputCount: number): Relocations {
  const keptOffsets = Array.from({ length: inputCount }, () => -1)
  return { live: keptOffsets.map(() => new Uint8Array(0)), keptOffsets, dropsTombstones: false }
}
