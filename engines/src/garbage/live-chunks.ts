// Which chunks of each pack something needs. Recipes name the same chunks again and again: columns of numbers that are
// sorted and made unique whenever they are full, 8 bytes a chunk.

import { assert } from "../base/assert.ts"

const CHUNKS_START = 16

/** Chunks of one pack by their offsets. */
export class LiveChunks {
  #offsets = new Uint32Array(CHUNKS_START)
  #lengths = new Uint32Array(CHUNKS_START)
  #count = 0
  #isSorted = true

  add(offset: number, length: number): void {
    if (this.#count === this.#offsets.length) this.#makeRoom()
    this.#offsets[this.#count] = offset
    this.#lengths[this.#count] = length
    this.#count++
    this.#isSorted = false
  }

  /** Bytes of the chunks, each counted once. */
  get bytes(): number {
    this.#sort()
    let bytes = 0
    for (let i = 0; i < this.#count; i++) bytes += this.#lengths[i]!
    return bytes
  }

  /** How many chunks, each counted once. */
  get count(): number {
    this.#sort()
    return this.#count
  }

  /** Offset and length of each chunk, ascending. */
  *entries(): Generator<{ readonly offset: number; readonly length: number }> {
    this.#sort()
    for (let i = 0; i < this.#count; i++) yield { offset: this.#offsets[i]!, length: this.#lengths[i]! }
  }

  #makeRoom(): void {
    this.#sort()
    if (this.#count <= this.#offsets.length / 2) return
    const offsets = new Uint32Array(this.#offsets.length * 2)
    const lengths = new Uint32Array(offsets.length)
    offsets.set(this.#offsets)
    lengths.set(this.#lengths)
    this.#offsets = offsets
    this.#lengths = lengths
  }

  #sort(): void {
    if (this.#isSorted) return
    // Both are below 2^32: a pair as one number sorts by offset, and twins come side by side.
    const pairs = new BigUint64Array(this.#count)
    for (let i = 0; i < this.#count; i++) {
      pairs[i] = (BigInt(this.#offsets[i]!) << 32n) | BigInt(this.#lengths[i]!)
    }
    pairs.sort()
    let kept = 0
    for (let i = 0; i < pairs.length; i++) {
      if (i > 0 && pairs[i] === pairs[i - 1]) continue
      this.#offsets[kept] = Number(pairs[i]! >> 32n)
      this.#lengths[kept] = Number(pairs[i]! & 0xffff_ffffn)
      kept++
    }
    this.#count = kept
    this.#isSorted = true
    assert(kept <= this.#offsets.length, "unique chunks are not more than before")
  }
}
