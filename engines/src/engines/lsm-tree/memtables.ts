// The memtables of a state: one that takes writes, and sealed ones that wait to be flushed, oldest first.
//
//   runs  ◄── flush ── sealed 4 ── sealed 5 ── sealed 6 ── active 7  ◄── writes
//
// A full memtable is sealed and another one takes over: a pointer. What waits is bounded by `bytesMax`, which the
// caller keeps by asking `hasRoomFor` before it writes.
//
// A memtable gets its arena with its first record, and the arena of one that was flushed serves again: tens of MiB that
// are new make the collector run, which would stop everything for milliseconds with each opening and each version.

import { assert } from "../../base/assert.ts"
import { Memtable } from "./memtable.ts"

const NO_ARENA = Buffer.alloc(0)

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
  /** The arena of a memtable that has gone. */
  #spare: Buffer | undefined

  /** @param bounds length of one memtable, and of all together, in bytes */
  constructor(bounds: { readonly bytesLimit: number; readonly bytesMax: number }) {
    this.#bytesLimit = bounds.bytesLimit
    this.#bytesMax = bounds.bytesMax
    this.#active = new Memtable(1, NO_ARENA)
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
    if (!this.#active.hasRoomFor(bytes)) this.#rotate(this.#arenaFor(bytes))
    return this.#active
  }

  /** Fixes everything written so far: it is in memtables up to the sequence that is returned, and in runs. */
  seal(): number {
    if (this.#active.end > 0) this.#rotate(NO_ARENA)
    return this.#active.sequence - 1
  }

  /** The oldest sealed memtable is in the runs now. */
  drop(memtable: Memtable): void {
    assert(this.#sealed[0] === memtable, "memtables are flushed in their order")
    this.#sealed = this.#sealed.slice(1)
    this.#sealedBytes -= memtable.end
    this.#dropCount++
    if (!memtable.isHeld && memtable.bytes.length === this.#bytesLimit) this.#spare = memtable.bytes
    this.#list()
  }

  #rotate(arena: Buffer): void {
    const full = this.#active
    this.#active = new Memtable(full.end > 0 ? full.sequence + 1 : full.sequence, arena)
    if (full.end > 0) {
      this.#sealed = [...this.#sealed, full]
      this.#sealedBytes += full.end
    }
    this.#list()
  }

  #arenaFor(bytes: number): Buffer {
    const spare = this.#spare
    if (bytes > this.#bytesLimit || spare === undefined) return newArena(Math.max(this.#bytesLimit, bytes))
    this.#spare = undefined
    return spare
  }

  #list(): void {
    this.#newestFirst = [this.#active, ...[...this.#sealed].reverse()]
  }
}

/** The system gives pages of it as they are written. */
function newArena(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes))
}
