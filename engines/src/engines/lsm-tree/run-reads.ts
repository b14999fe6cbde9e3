// Reading keys from runs, newest run first: filter, fences, one block, search in it. Without a promise as long as the
// blocks are in the cache.
//
// A round of keys goes in stages, so that the processor waits for several of them at once: filters, fences and places
// of blocks for all, then the directories of the blocks, then the records.

import { copyBytes } from "../../base/bytes.ts"
import { KeyHasher } from "../../base/key-hash.ts"
import { NOT_READ, type ReadBudget } from "../../base/read-budget.ts"
import type { RecordCursor } from "../../base/record.ts"
import { ValueSlab } from "../../base/value-slab.ts"
import type { OpenRun } from "../../runs/open-run.ts"
import { RUN_BLOCK_BYTES } from "../../runs/run-format.ts"
import { BlockSearch, CachedRange, hasKey } from "./block-search.ts"
import { type KeyRound, ROUND_KEYS_MAX } from "./key-round.ts"

/** Of a key that a data block does not have. */
const NOT_THERE = Symbol("not there")

type Value = Uint8Array | undefined

/** Where the data block of a key was found. */
type Located = "cached" | "on disk" | "across blocks"

export class RunReads {
  /** Blocks that were asked of the disk. */
  diskReadCount = 0
  readonly #search: BlockSearch
  #values: ValueSlab | undefined
  /** Where `#locate` found the data block: when it is cached, and where it starts in the run. */
  #located: Located = "on disk"
  readonly #range = new CachedRange()
  #start = 0
  /** Of each key of a round: the run that may have it, how its data block was found, and where. */
  readonly #runOf = new Int32Array(ROUND_KEYS_MAX)
  readonly #locatedOf = new Array<Located>(ROUND_KEYS_MAX).fill("on disk")
  readonly #startOf = new Float64Array(ROUND_KEYS_MAX)
  readonly #rangeOf = Array.from({ length: ROUND_KEYS_MAX }, () => new CachedRange())
  /** Of no meaning: keeps what is only touched from being optimised away. */
  touched = 0

  /** @param hashSeed of the hashes that are asked with */
  constructor(hashSeed: number) {
    this.#search = new BlockSearch(new KeyHasher(hashSeed))
  }

  /** The value of the key in the newest of `runs`, which are newest first, that has it; undefined for a tombstone. */
  get(runs: readonly OpenRun[], h1: number, h2: number, key: Uint8Array): Value | Promise<Value> {
    return this.#getFrom(runs, this.#locate(runs, 0, h1, h2, key, this.#range), h1, h2, key)
  }

  /** As `get`, for the keys of the round that are `missing`; answers go to `values`. */
  getRound(
    runs: readonly OpenRun[],
    { h1, h2, missing, missingCount, first }: KeyRound,
    keys: readonly Uint8Array[],
    values: (Value | Promise<Value>)[],
    budget?: ReadBudget,
  ): void {
    const kept = (value: Value | Promise<Value>): Value | Promise<Value> =>
      budget === undefined ? value : budget.keep(value)
    let touched = 0
    for (let n = 0; n < missingCount; n++) {
      const i = missing[n]!
      const range = this.#rangeOf[n]!
      const at = this.#locate(runs, 0, h1[i]!, h2[i]!, keys[first + i]!, range)
      this.#runOf[n] = at
      this.#locatedOf[n] = this.#located
      this.#startOf[n] = this.#start
      if (at < runs.length && this.#located === "cached") {
        touched |= runs[at]!.cachedDirectory.touch(Math.floor(range.start / RUN_BLOCK_BYTES))
      }
    }
    for (let n = 0; n < missingCount; n++) {
      const run = runs[this.#runOf[n]!]
      if (run === undefined || this.#locatedOf[n] !== "cached") continue
      touched |= this.#search.touch(run, this.#rangeOf[n]!, h2[missing[n]!]!)
    }
    this.touched = touched
    const cold: number[] = []
    for (let n = 0; n < missingCount; n++) {
      const i = missing[n]!
      const at = this.#runOf[n]!
      const run = runs[at]
      if (run === undefined) continue
      if (budget?.isSpent) {
        values[first + i] = NOT_READ
      } else if (this.#locatedOf[n] !== "cached") {
        cold.push(n)
      } else if (this.#search.findCached(run, this.#rangeOf[n]!, keys[first + i]!, h2[i]!)) {
        values[first + i] = kept(this.#cachedValue(run.cachedBytes))
      } else {
        values[first + i] = kept(this.#getAgain(runs, at + 1, h1[i]!, h2[i]!, keys[first + i]!))
      }
    }
    // The disk is asked run by run, in the order of the file; a block that several keys need is read once.
    cold.sort((a, b) => this.#runOf[a]! - this.#runOf[b]! || this.#startOf[a]! - this.#startOf[b]!)
    for (const n of cold) {
      const i = missing[n]!
      values[first + i] = kept(this.#getAgain(runs, this.#runOf[n]!, h1[i]!, h2[i]!, keys[first + i]!))
    }
  }

  #getAgain(
    runs: readonly OpenRun[],
    from: number,
    h1: number,
    h2: number,
    key: Uint8Array,
  ): Value | Promise<Value> {
    return this.#getFrom(runs, this.#locate(runs, from, h1, h2, key, this.#range), h1, h2, key)
  }

  /** As `get`, from run `at` on, which was located. */
  #getFrom(
    runs: readonly OpenRun[],
    at: number,
    h1: number,
    h2: number,
    key: Uint8Array,
  ): Value | Promise<Value> {
    const { cursor } = this.#search
    for (let i = at; i < runs.length; i = this.#locate(runs, i + 1, h1, h2, key, this.#range)) {
      const run = runs[i]!
      if (this.#located === "cached") {
        if (this.#search.findCached(run, this.#range, key, h2)) return this.#cachedValue(run.cachedBytes)
        continue
      }
      const bytes = this.#located === "across blocks" ? run.cachedRecord(this.#start, cursor) : undefined
      if (bytes === undefined) return this.#getLater(runs.slice(i), h1, h2, Buffer.from(key))
      if (hasKey(bytes, cursor, key)) return copyValue(bytes, cursor)
    }
    return undefined
  }

  /**
   * The index of the first run from `from` on that may hold the key; `runs.length` when none may. Leaves how its data
   * block was found in `#located`, and where: in `range` when it is cached, else in `#start`.
   */
  #locate(
    runs: readonly OpenRun[],
    from: number,
    h1: number,
    h2: number,
    key: Uint8Array,
    range: CachedRange,
  ): number {
    for (let i = from; i < runs.length; i++) {
      const run = runs[i]!
      const { filter, fences } = run.sortedIndex!
      if (!filter.mayHold(h1, h2)) continue
      const dataBlock = fences.find(key, 0, key.length)
      const start = fences.start(dataBlock)
      const end = fences.end(dataBlock)
      const block = Math.floor(start / RUN_BLOCK_BYTES)
      const blockStart = block * RUN_BLOCK_BYTES
      this.#start = start
      if (end > blockStart + RUN_BLOCK_BYTES) {
        this.#located = "across blocks"
        return i
      }
      const cached = run.cachedBlock(block)
      this.#located = cached < 0 ? "on disk" : "cached"
      range.start = cached + start - blockStart
      range.end = cached + end - blockStart
      range.recordsEnd = cached + Math.min(RUN_BLOCK_BYTES, run.figures.recordsBytes - blockStart)
      return i
    }
    return runs.length
  }

  /** As `get`, for runs that are held from now on; the first of them may have the key. `key` is not changed. */
  async #getLater(runs: readonly OpenRun[], h1: number, h2: number, key: Uint8Array): Promise<Value> {
    for (const run of runs) run.retain()
    try {
      for (const run of runs) {
        const { filter, fences } = run.sortedIndex!
        if (!filter.mayHold(h1, h2)) continue
        const dataBlock = fences.find(key, 0, key.length)
        const value = await this.#valueIn(run, fences.start(dataBlock), fences.end(dataBlock), key)
        if (value !== NOT_THERE) return value
      }
      return undefined
    } finally {
      for (const run of runs) run.release()
    }
  }

  /** The value of the key in a data block, read from disk. A data block over the border of a block holds one record. */
  #valueIn(run: OpenRun, start: number, end: number, key: Uint8Array): Promise<Value | typeof NOT_THERE> {
    this.diskReadCount++
    const block = Math.floor(start / RUN_BLOCK_BYTES)
    const blockStart = block * RUN_BLOCK_BYTES
    const look = (bytes: Buffer, from: number, to: number): Value | typeof NOT_THERE =>
      this.#search.find(run, bytes, from, to, key) ? copyValue(bytes, this.#search.cursor) : NOT_THERE
    return end <= blockStart + RUN_BLOCK_BYTES
      ? run.withBlock(block, (bytes) => look(bytes, start - blockStart, end - blockStart))
      : run.withRecord(start, (bytes, cursor) => look(bytes, cursor.start, cursor.end))
  }

  /** The value under the cursor. All runs of an engine have one cache: its bytes stay the same ones. */
  #cachedValue(cachedBytes: Buffer): Value {
    const { valueStart, end } = this.#search.cursor
    if (valueStart === end) return undefined
    if (this.#values === undefined || this.#values.source !== cachedBytes) {
      this.#values = new ValueSlab(cachedBytes)
    }
    return this.#values.copy(valueStart, end)
  }
}

function copyValue(bytes: Buffer, { valueStart, end }: RecordCursor): Value {
  return valueStart === end ? undefined : copyBytes(bytes, valueStart, end)
}
