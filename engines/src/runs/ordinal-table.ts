// Numbers by 48-bit hash, for a number of entries that is known before: open addressing with linear probing.
// 5.3 bytes of slots and 10 of hashes and ordinals an entry; nothing is removed.

import { assert } from "../base/assert.ts"

const SLOTS_PER_ENTRY = 4 / 3
const U32_SPAN = 2 ** 32

/** The first ordinal given with each hash. Ordinals have 32 bits. */
export class OrdinalTable {
  /** The number of an entry, plus 1. */
  readonly #slots: Uint32Array
  readonly #h1: Uint32Array
  readonly #h2: Uint16Array
  readonly #ordinal: Uint32Array
  #count = 0

  /** @param capacity how many hashes there are at most; below 2^32 - 1 */
  constructor(capacity: number) {
    assert(capacity < U32_SPAN - 1, "entries are numbered in 32 bits")
    this.#slots = new Uint32Array(Math.ceil(capacity * SLOTS_PER_ENTRY) + 1)
    this.#h1 = new Uint32Array(capacity)
    this.#h2 = new Uint16Array(capacity)
    this.#ordinal = new Uint32Array(capacity)
  }

  /** Keeps `ordinal` under the hash and returns -1, or returns the ordinal that is kept there already. */
  insertIfAbsent(h1: number, h2: number, ordinal: number): number {
    const slots = this.#slots
    // A slot in four is empty. The low half of the hash spreads what a slice of the high half would crowd together.
    let slot = Math.floor((Math.imul(h1 ^ (h2 << 16), 0x9e3779b1) >>> 0) * (slots.length / U32_SPAN))
    for (;;) {
      const entry = slots[slot]! - 1
      if (entry < 0) break
      if (this.#h1[entry] === h1 && this.#h2[entry] === h2) return this.#ordinal[entry]!
      slot = slot + 1 === slots.length ? 0 : slot + 1
    }
    assert(this.#count < this.#h1.length, "the table has room for the entry")
    slots[slot] = this.#count + 1
    this.#h1[this.#count] = h1
    this.#h2[this.#count] = h2
    this.#ordinal[this.#count] = ordinal
    this.#count++
    return -1
  }
}
