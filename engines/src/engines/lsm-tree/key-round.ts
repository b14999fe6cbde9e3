// A round of keys that are looked up, or written, together, in stages, so that their cache misses overlap. Entry `i` of
// each array is key `first + i` of many keys, or record `i` from where the round begins in a batch.

import type { KeyHasher } from "../../base/key-hash.ts"
import { decodeRecord, type RecordCursor } from "../../base/record.ts"

/** Keys of one round: what is loaded for them fits the nearest caches. */
export const ROUND_KEYS_MAX = 256

/** Scratch space, used again for each round. */
export class KeyRound {
  readonly h1 = new Uint32Array(ROUND_KEYS_MAX)
  readonly h2 = new Uint16Array(ROUND_KEYS_MAX)
  /** What an index holds. */
  readonly offsets = new Float64Array(ROUND_KEYS_MAX)
  /** Keys that were not found yet: the first `missingCount` entries, ascending. */
  readonly missing = new Uint16Array(ROUND_KEYS_MAX)
  missingCount = 0
  first = 0
  count = 0

  /** Begins the round of the keys from `first` on; none was found. */
  begin(keys: readonly Uint8Array[], first: number, hasher: KeyHasher): void {
    const count = Math.min(keys.length - first, ROUND_KEYS_MAX)
    for (let i = 0; i < count; i++) {
      const key = keys[first + i]!
      hasher.hash(key, 0, key.length)
      this.h1[i] = hasher.h1
      this.h2[i] = hasher.h2
      this.missing[i] = i
    }
    this.first = first
    this.count = count
    this.missingCount = count
  }

  /** Begins the round of the records of a batch from `start` on; returns where the next round begins. */
  beginRecords(batch: Uint8Array, start: number, hasher: KeyHasher, cursor: RecordCursor): number {
    let at = start
    let count = 0
    for (; at < batch.length && count < ROUND_KEYS_MAX; count++) {
      decodeRecord(batch, at, batch.length, cursor)
      hasher.hash(batch, cursor.keyStart, cursor.keyEnd)
      this.h1[count] = hasher.h1
      this.h2[count] = hasher.h2
      at = cursor.end
    }
    this.count = count
    return at
  }
}
