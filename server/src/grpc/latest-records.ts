// The last record of each key among the records of one frame, by a hash table of offsets: open addressing, linear
// probing, at most a quarter full. Nothing is allocated for a record; the table is used again from frame to frame.

import { randomInt } from "node:crypto"
import { KeyHasher } from "@varve/engines/internal"
import { decodeOperation, RecordCursor } from "@varve/proto"

const SLOTS_PER_RECORD = 4
const SLOTS_LEAST = 1024
/** A larger table is let go when the next frame comes. */
const SLOTS_KEPT_MAX = 65_536

export class LatestRecords {
  /** A seed of its own: nobody outside can choose keys that share a slot. */
  readonly #hasher = new KeyHasher(randomInt(2 ** 32))
  readonly #other = new RecordCursor()
  /** Where the record starts, plus one; 0: free. */
  #slots = new Int32Array(SLOTS_LEAST)
  #mask = SLOTS_LEAST - 1
  #list: Uint8Array = new Uint8Array(0)

  /** Empty, for at most `recordsMax` records of `list`. */
  begin(list: Uint8Array, recordsMax: number): void {
    this.#list = list
    let count = SLOTS_LEAST
    while (count < recordsMax * SLOTS_PER_RECORD) count *= 2
    if (count > this.#slots.length || this.#slots.length > SLOTS_KEPT_MAX) this.#slots = new Int32Array(count)
    else this.#slots.fill(0, 0, count)
    this.#mask = count - 1
  }

  /** The record that `cursor` stands on is the last one of its key from now on. */
  put(cursor: RecordCursor): void {
    this.#slots[this.#slotOf(cursor)] = cursor.start + 1
  }

  /** The value of the last record put of the key that `cursor` stands on, a view; `undefined`: there is none. */
  valueOf(cursor: RecordCursor): Uint8Array | undefined {
    if (this.#slots[this.#slotOf(cursor)] === 0) return undefined
    // The search has left it there.
    return this.#list.subarray(this.#other.valueStart, this.#other.end)
  }

  /** Lets go of the list. */
  end(): void {
    this.#list = new Uint8Array(0)
  }

  /** The slot of the key, or the free one where it would stand. */
  #slotOf({ keyStart, keyEnd }: RecordCursor): number {
    const list = this.#list
    this.#hasher.hash(list, keyStart, keyEnd)
    let slot = this.#hasher.h1 & this.#mask
    for (;;) {
      const stored = this.#slots[slot]!
      if (stored === 0 || this.#hasKey(stored - 1, keyStart, keyEnd)) return slot
      slot = (slot + 1) & this.#mask
    }
  }

  #hasKey(recordStart: number, keyStart: number, keyEnd: number): boolean {
    const list = this.#list
    const other = this.#other
    decodeOperation(list, recordStart, list.length, other)
    const keyBytes = keyEnd - keyStart
    if (other.keyEnd - other.keyStart !== keyBytes) return false
    for (let at = 0; at < keyBytes; at++) {
      if (list[other.keyStart + at] !== list[keyStart + at]) return false
    }
    return true
  }
}
