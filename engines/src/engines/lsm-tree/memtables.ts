// The memtables of a state: one that takes writes, and sealed ones that wait to be flushed, oldest first.
//
//   runs  ◄── flush ── sealed 4 ── sealed 5 ── sealed 6 ── active 7  ◄── writes
//
// A full memtable is sealed and another one takes over: a pointer. What waits is bounded by `bytesMax`, which the
// caller keeps by asking `hasRoomFor` before it writes.

import { assert } from "../../base/assert.ts"
import { Memtable } from "./memtable.ts"

export class Memtables {
  readonly #bytesLimit: number
  readonly #bytesMax: number
  #active: Memtable
  /** Oldest first. */
  #sealed: readonly Memtable[] = []
  #sealedBytes = 0
  /** All of them, newest first: the order of look-ups. A new array after each change. */
  #newestFirst: readonly Memtable[]
  #dropCount = 0

  /** @param bounds length of one memtable, and of all together, in bytes */
  constructor(bounds: { readonly bytesLimit: number; readonly bytesMax: number }) {
    this.#bytesLimit = bounds.bytesLimit
    this.#bytesMax = bounds.bytesMax
    this.#active = new Memtable(1, bounds.bytesLimit)
    this.#newestFirst = [this.#active]
  }

  get newestFirst(): readonly Memtable[] {
    return this.#newestFirst
  }

  /** The next one to be flushed. */
  get oldestSealed(): Memtable | undefined {
    return this.#sealed[0]
  }

  get sealedCount(): number {
    return this.#sealed.length
  }

  get sealedBytes(): number {
    return this.#sealedBytes
  }

  /** Bytes of records in all of them. */
  get bytes(): number {
    return this.#sealedBytes + this.#active.end
  }

  get bytesMax(): number {
    return this.#bytesMax
  }

  /** Changes whenever a memtable has gone: what is no longer found here is in the runs. */
  get dropCount(): number {
    return this.#dropCount
  }

  /** Everything of this sequence and before is in the runs. */
  get flushed(): number {
    return (this.#sealed[0] ?? this.#active).sequence - 1
  }

  /** Whether records of `bytes` more can be taken. */
  hasRoomFor(bytes: number): boolean {
    return this.bytes + bytes <= this.#bytesMax
  }

  /** A memtable with room for a record of `bytes`. */
  forRecord(bytes: number): Memtable {
    if (!this.#active.hasRoomFor(bytes)) this.#rotate(bytes)
    return this.#active
  }

  /** Fixes everything written so far: it is in memtables up to the sequence that is returned, and in runs. */
  seal(): number {
    if (this.#active.end > 0) this.#rotate(0)
    return this.#active.sequence - 1
  }

  /** The oldest sealed memtable is in the runs now. */
  drop(memtable: Memtable): void {
    assert(this.#sealed[0] === memtable, "memtables are flushed in their order")
    this.#sealed = this.#sealed.slice(1)
    this.#sealedBytes -= memtable.end
    this.#dropCount++
    this.#list()
  }

  #rotate(bytes: number): void {
    const full = this.#active
    this.#active = new Memtable(
      full.end > 0 ? full.sequence + 1 : full.sequence,
      Math.max(this.#bytesLimit, bytes),
    )
    if (full.end > 0) {
      this.#sealed = [...this.#sealed, full]
      this.#sealedBytes += full.end
    }
    this.#list()
  }

  #list(): void {
    this.#newestFirst = [this.#active, ...[...this.#sealed].reverse()]
  }
}
