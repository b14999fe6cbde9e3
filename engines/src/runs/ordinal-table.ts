// Numbers by 48-bit hash, for a number of entries that is known before: open addressing with linear probing.
// 5.3 bytes of slots and 6 of hashes an entry; nothing is removed.

import { assert } from "../base/assert.ts"

const SLOTS_PER_ENTRY = 4 / 3
const U32_SPAN = 2 ** 32
const EMPTY = 0

/** The first ordinal given with each hash. Ordinals are unsigned, below the capacity, each given once at most. */
export class OrdinalTable {
  readonly #slots: Uint32Array
  readonly #h1: Uint32Array
  readonly #h2: Uint16Array

  /** @param capacity how many ordinals there are at most; below 2^32 - 1 */
  constructor(capacity: number) {
    assert(capacity < U32_SPAN - 1, "ordinals have 32 bits")
    this.#slots = new Uint32Array(Math.ceil(capacity * SLOTS_PER_ENTRY) + 1)
    this.#h1 = new Uint32Array(capacity)
    this.#h2 = new Uint16Array(capacity)
  }

  /** Keeps `ordinal` under the hash and returns -1, or returns the ordinal that is kept there already. */
  insertIfAbsent(h1: number, h2: number, ordinal: number): number {
    const slot = this.#slotOf(h1, h2)
    const kept = this.#slots[slot]!
    if (kept !== EMPTY) return kept - 1
    this.#slots[slot] = ordinal + 1
    this.#h1[ordinal] = h1
    this.#h2[ordinal] = h2
    return -1
  }

  /** The ordinal kept under the hash, or -1. */
  get(h1: number, h2: number): number {
    return this.#slots[this.#slotOf(h1, h2)]! - 1
  }

  /** The slot that holds the hash, or the empty one where it belongs. A slot in four is empty. */
  #slotOf(h1: number, h2: number): number {
    const slots = this.#slots
    let slot = Math.floor((h1 / U32_SPAN) * slots.length)
    for (;;) {
      const ordinal = slots[slot]! - 1
      if (ordinal < 0 || (this.#h1[ordinal] === h1 && this.#h2[ordinal] === h2)) return slot
      slot = slot + 1 === slots.length ? 0 : slot + 1
    }
  }
}
