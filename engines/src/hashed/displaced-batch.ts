// Displaced records that are compared together by the job `compareKeys`: where their old records lie, and the keys
// that the index has in their place now, as far as these are in memory. Filled slice by slice of the event loop.

import { addressOf } from "../runs/address.ts"
import type { CollisionTable } from "../runs/collision-table.ts"
import type { HashIndex } from "../runs/hash-index.ts"
import type { OpenRun, RunSet } from "../runs/run-set.ts"
import type { CompareKeysInput } from "./compare-keys.ts"
import type { MemoryRecords } from "./memory-records.ts"

/** Records of a batch: 14 bytes each, and their keys. */
const BATCH_RECORDS_MAX = 32_768
/** A batch ends at the key that does not fit; the longest key does. */
const BATCH_KEY_BYTES_MAX = 2 * 1024 * 1024
/** Records looked up in one turn of the event loop: about 0.5 ms. */
export const SLICE_RECORDS = 1024

export interface DisplacedBatchParts {
  readonly collisions: CollisionTable
  readonly index: HashIndex
  readonly records: MemoryRecords
  readonly runs: RunSet
}

export class DisplacedBatch {
  readonly #parts: DisplacedBatchParts
  /** Of the records in the batch, by their number in it. */
  readonly sequences = new Float64Array(BATCH_RECORDS_MAX)
  count = 0
  /** Of records that a job cannot compare: their run is no file yet, or what the index has in their place is on disk too. */
  readonly others: number[] = []
  readonly #run = new Uint16Array(BATCH_RECORDS_MAX)
  readonly #offset = new Float64Array(BATCH_RECORDS_MAX)
  readonly #keyEnd = new Uint32Array(BATCH_RECORDS_MAX)
  #keys = new Uint8Array(BATCH_KEY_BYTES_MAX)
  #keyBytes = 0
  /** The runs of the records, each held once. */
  readonly #runs = new Map<OpenRun, number>()
  readonly #h1 = new Uint32Array(SLICE_RECORDS)
  readonly #h2 = new Uint16Array(SLICE_RECORDS)
  readonly #slice = new Float64Array(SLICE_RECORDS)
  readonly #places = new Float64Array(SLICE_RECORDS)
  #isFull = false

  constructor(parts: DisplacedBatchParts) {
    this.#parts = parts
  }

  /**
   * Takes displaced records from the one with `sequence` on, as many as one turn may, and returns where to go on; -1
   * when there are no more, or the batch is full.
   */
  fill(sequence: number): number {
    const { displaced } = this.#parts.collisions
    let taken = 0
    let at = displaced.oldestFrom(sequence)
    for (; at >= 0 && taken < SLICE_RECORDS; at = displaced.oldestFrom(at + 1)) {
      this.#h1[taken] = displaced.h1(at)
      this.#h2[taken] = displaced.h2(at)
      this.#slice[taken++] = at
    }
    // The buckets of all of them are asked for at once, so that their cache misses overlap.
    this.#parts.index.getBatch(this.#h1, this.#h2, this.#places, taken)
    for (let i = 0; i < taken && !this.#isFull; i++) this.#take(this.#slice[i]!, this.#places[i]!)
    return this.#isFull ? -1 : at
  }

  /** What the job takes; its buffers are to be transferred. The batch is not filled any more. */
  input(): CompareKeysInput {
    return {
      paths: [...this.#runs.keys()].map((run) => run.path),
      run: this.#run.slice(0, this.count),
      offset: this.#offset.slice(0, this.count),
      keys: this.#keys.slice(0, this.#keyBytes),
      keyEnd: this.#keyEnd.slice(0, this.count),
    }
  }

  /** Empties it, and lets go of the runs. */
  clear(): void {
    for (const run of this.#runs.keys()) run.release()
    this.#runs.clear()
    this.count = 0
    this.others.length = 0
    this.#keyBytes = 0
    this.#isFull = false
  }

  #take(sequence: number, current: number): void {
    const { collisions, records, runs } = this.#parts
    const address = addressOf(current)
    const run =
      current < 0 || !records.has(address)
        ? undefined
        : runs.runAt(addressOf(collisions.displaced.place(sequence)))
    // A run that is still on its way has no file that a job could read.
    if (run === undefined || !run.isLocal) {
      this.others.push(sequence)
      this.#isFull = this.others.length === BATCH_RECORDS_MAX
      return
    }
    const { offset } = runs
    const keyBytes = records.keyBytes(address)
    if (this.#keyBytes + keyBytes > this.#keys.length) {
      this.#isFull = true
      return
    }
    records.copyKey(this.#keys, this.#keyBytes)
    this.#keyBytes += keyBytes
    this.sequences[this.count] = sequence
    this.#run[this.count] = this.#numberOf(run)
    this.#offset[this.count] = offset
    this.#keyEnd[this.count] = this.#keyBytes
    this.count++
    this.#isFull = this.count === BATCH_RECORDS_MAX
  }

  #numberOf(run: OpenRun): number {
    const known = this.#runs.get(run)
    if (known !== undefined) return known
    const number = this.#runs.size
    run.retain()
    this.#runs.set(run, number)
    return number
  }
}
