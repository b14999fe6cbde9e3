// Records that writes have pushed out of the hash index unread, oldest first, and found by their hash.
//
//   slots    [ ][ 17 ][ 18 ][  ][ 20 ][ 21 ][ ] …     a ring: the record with sequence s lies at slot s mod capacity
//                 oldest       forgotten  newest
//   buckets  hash -> newest slot -> next older -> …   chains through the slots
//
// A writer under full load adds and another loop forgets a hundred thousand a second: typed arrays, no object a
// record. Maps and sets of objects hold the thread for milliseconds while they grow, and feed the collector.
// Sequences that were given to others leave empty slots. The ring doubles when it is full, 30 bytes a record.

import { assert } from "../base/assert.ts"

const CAPACITY_START = 1024
const NONE = -1
const NO_PLACES: readonly number[] = []

export class DisplacedRecords {
  #capacity = CAPACITY_START
  #h1 = new Uint32Array(CAPACITY_START)
  #h2 = new Uint16Array(CAPACITY_START)
  /** NONE in an empty slot. */
  #place = new Float64Array(CAPACITY_START).fill(NONE)
  #sequence = new Float64Array(CAPACITY_START)
  /** The next older one of the same bucket. */
  #next = new Int32Array(CAPACITY_START)
  #buckets = new Int32Array(CAPACITY_START).fill(NONE)
  #count = 0
  /** No record below `#oldest`, and none at or above `#end`. */
  #oldest = 0
  #end = 0

  get count(): number {
    return this.#count
  }

  /** Adds a record. Sequences ascend from call to call. */
  add(h1: number, h2: number, place: number, sequence: number): void {
    assert(sequence >= this.#end, "sequences ascend")
    if (this.#count === 0) this.#oldest = sequence
    while (sequence - this.#oldest >= this.#capacity) this.#grow()
    this.#end = sequence + 1
    this.#put(h1, h2, place, sequence)
    this.#count++
  }

  /** The oldest record at or above `sequence`, by its sequence; -1: there is none. */
  oldestFrom(sequence: number): number {
    if (this.#count === 0) return NONE
    for (let at = Math.max(sequence, this.#oldest); at < this.#end; at++) if (this.has(at)) return at
    return NONE
  }

  has(sequence: number): boolean {
    if (sequence < this.#oldest || sequence >= this.#end) return false
    return this.#place[sequence % this.#capacity]! !== NONE
  }

  /** Of a record that is here. */
  h1(sequence: number): number {
    return this.#h1[this.#slotOf(sequence)]!
  }

  /** Of a record that is here. */
  h2(sequence: number): number {
    return this.#h2[this.#slotOf(sequence)]!
  }

  /** Of a record that is here. */
  place(sequence: number): number {
    return this.#place[this.#slotOf(sequence)]!
  }

  /** Places of the records with this hash whose sequence is above `above`, newest first. */
  withHash(h1: number, h2: number, above: number): readonly number[] {
    let places: number[] | undefined
    for (let slot = this.#buckets[this.#bucketOf(h1, h2)]!; slot !== NONE; slot = this.#next[slot]!) {
      if (this.#h1[slot] !== h1 || this.#h2[slot] !== h2 || this.#sequence[slot]! <= above) continue
      places ??= []
      places.push(this.#place[slot]!)
    }
    return places ?? NO_PLACES
  }

  /** False when the record is not here. */
  forget(sequence: number): boolean {
    if (!this.has(sequence)) return false
    const slot = sequence % this.#capacity
    this.#unlink(slot)
    this.#place[slot] = NONE
    this.#count--
    if (this.#count === 0) this.#oldest = this.#end
    while (this.#oldest < this.#end && !this.has(this.#oldest)) this.#oldest++
    return true
  }

  #slotOf(sequence: number): number {
    assert(this.has(sequence), "the displaced record is here")
    return sequence % this.#capacity
  }

  #bucketOf(h1: number, h2: number): number {
    return (h1 ^ h2) & (this.#capacity - 1)
  }

  #put(h1: number, h2: number, place: number, sequence: number): void {
    const slot = sequence % this.#capacity
    const bucket = this.#bucketOf(h1, h2)
    this.#h1[slot] = h1
    this.#h2[slot] = h2
    this.#place[slot] = place
    this.#sequence[slot] = sequence
    this.#next[slot] = this.#buckets[bucket]!
    this.#buckets[bucket] = slot
  }

  #unlink(slot: number): void {
    const bucket = this.#bucketOf(this.#h1[slot]!, this.#h2[slot]!)
    const next = this.#next[slot]!
    let at = this.#buckets[bucket]!
    if (at === slot) {
      this.#buckets[bucket] = next
      return
    }
    while (this.#next[at] !== slot) at = this.#next[at]!
    this.#next[at] = next
  }

  #grow(): void {
    const before = { h1: this.#h1, h2: this.#h2, place: this.#place, capacity: this.#capacity }
    this.#capacity *= 2
    this.#h1 = new Uint32Array(this.#capacity)
    this.#h2 = new Uint16Array(this.#capacity)
    this.#place = new Float64Array(this.#capacity).fill(NONE)
    this.#sequence = new Float64Array(this.#capacity)
    this.#next = new Int32Array(this.#capacity)
    this.#buckets = new Int32Array(this.#capacity).fill(NONE)
    for (let sequence = this.#oldest; sequence < this.#end; sequence++) {
      const slot = sequence % before.capacity
      const place = before.place[slot]!
      if (place !== NONE) this.#put(before.h1[slot]!, before.h2[slot]!, place, sequence)
    }
  }
}
