// A round of keys that are looked up together, in stages, so that their cache misses overlap: all hashes, then all
// buckets of the index, then all records; a processor that waits for one of them goes on to the next. One by one,
// each key waits for its bucket and then for its record. What it brings: `getMany` against `get` in the benchmark of the
// engines.

import type { KeyHasher } from "../base/key-hash.ts"
import { addressOf } from "../runs/address.ts"
import type { HashIndex } from "../runs/hash-index.ts"
import type { MemoryRecords } from "./memory-records.ts"

/** Keys of one round: their buckets and records fit the nearest caches. */
export const ROUND_KEYS_MAX = 256

/** Scratch space, used again for each round: entry `i` of each array is key `i`. */
export class KeyRound {
  readonly h1 = new Uint32Array(ROUND_KEYS_MAX)
  readonly h2 = new Uint16Array(ROUND_KEYS_MAX)
  /** What the index holds; -1: nothing. */
  readonly places = new Float64Array(ROUND_KEYS_MAX)
  /** For a batch of records, where their parts lie in it. */
  readonly keyStart = new Uint32Array(ROUND_KEYS_MAX)
  readonly keyEnd = new Uint32Array(ROUND_KEYS_MAX)
  readonly end = new Uint32Array(ROUND_KEYS_MAX)
  /** The sum of what was touched, so that no compiler finds the touching useless. */
  touched = 0

  hash(i: number, hasher: KeyHasher, bytes: Uint8Array, start: number, end: number): void {
    hasher.hash(bytes, start, end)
    this.h1[i] = hasher.h1
    this.h2[i] = hasher.h2
  }

  /** Looks up the first `count` hashes and fetches the records that are in memory. */
  lookUp(count: number, index: HashIndex, records: MemoryRecords): void {
    index.getBatch(this.h1, this.h2, this.places, count)
    const { places } = this
    const { log } = records
    const { bytes, head, tail } = log
    let touched = 0
    for (let i = 0; i < count; i++) {
      const address = addressOf(places[i]!)
      if (address >= head && address < tail) touched += bytes[log.offsetOf(address)]!
    }
    this.touched = touched
  }
}
