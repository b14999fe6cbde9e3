// The part of the log that is in memory: one ring of bytes under ever growing addresses.
//
//        on disk only │ evictable  │ read-only    │ mutable           │ free
//     ────────────────┼────────────┼──────────────┼───────────────────┼───────────→ addresses
//                   head        flushed        readOnly             tail
//
//   [head, tail)      is in the ring, at offsetOf(address)
//   [flushed, tail)   is nowhere else: it must not be evicted
//   [readOnly, tail)  may be changed in place; below, no byte ever changes
//
// Addresses only grow and are never used again. A record lies in one piece: one that does not fit before the
// end of the ring starts at its beginning, and the gap is filled with zeros, which is padding. The ring is
// allocated as a whole with the first record, and the system gives pages only as they are written: an empty log costs
// nothing, and whoever opens a state only to read does not wait for it.
//
// Regions end where a record ends. So that they can move in steps, the log remembers such places, one for about
// every `segmentBytes`.
//
// Invariant: head <= flushed <= readOnly <= tail <= head + capacity.

import { assert } from "../base/assert.ts"

const NO_BYTES = Buffer.alloc(0)

export class MemoryLog {
  readonly capacity: number
  /**
   * The ring; another, empty one until the first `reserve`. Valid between `offsetOf(head)` and `offsetOf(tail)`,
   * around its end.
   */
  bytes = NO_BYTES
  head: number
  flushed: number
  readOnly: number
  tail: number
  /** Address of the ring's first byte in the present lap. */
  #lap = 0
  readonly #segmentBytes: number
  /** Places between records, ascending, at least `segmentBytes` apart. */
  readonly #marks: number[] = []
  #nextMark: number

  /** Both in bytes. Addresses start at 0. */
  constructor(capacity: number, segmentBytes: number) {
    this.capacity = capacity
    this.head = 0
    this.flushed = 0
    this.readOnly = 0
    this.tail = 0
    this.#segmentBytes = segmentBytes
    this.#nextMark = segmentBytes
  }

  /** Where in `bytes` the byte at `address` of [head, tail) lies. */
  offsetOf(address: number): number {
    const offset = address - this.#lap
    return offset >= 0 ? offset : offset + this.capacity
  }

  /** Whether `bytes` more, padding included, fit once everything flushed is evicted. */
  hasRoomFor(bytes: number): boolean {
    return this.tail + bytes - this.flushed <= this.capacity
  }

  /**
   * Moves the tail over `bytes` contiguous bytes and returns their address. Evicts what is needed. The caller has
   * checked `hasRoomFor` with the bytes of the record and of a gap as long as the record.
   */
  reserve(bytes: number): number {
    if (this.bytes === NO_BYTES) this.bytes = Buffer.from(new ArrayBuffer(this.capacity))
    const used = this.tail - this.#lap
    if (bytes > this.capacity - used) {
      this.#makeRoom(this.capacity - used)
      this.bytes.fill(0, used, this.capacity)
      this.#lap += this.capacity
      this.tail = this.#lap
    }
    this.#makeRoom(bytes)
    const address = this.tail
    this.tail = address + bytes
    return address
  }

  /** Makes everything up to the tail read-only for good: the next write of any record goes to the tail. */
  freezeAll(): void {
    this.readOnly = this.tail
    this.#marks.length = 0
    this.#nextMark = this.tail + this.#segmentBytes
  }

  /** Called between records: makes read-only what lies more than `lagBytes` behind the tail, in whole segments. */
  freezeBehind(lagBytes: number): void {
    if (this.tail < this.#nextMark) return
    this.#marks.push(this.tail)
    this.#nextMark = this.tail + this.#segmentBytes
    while (this.#marks.length > 0 && this.#marks[0]! <= this.tail - lagBytes) {
      this.readOnly = this.#marks.shift()!
    }
  }

  /**
   * How far a record of the mutable region that starts at `address` may reach: to the next place where a region
   * may come to end, the tail, or the end of the ring. In bytes.
   */
  bytesToBorder(address: number): number {
    const mark = this.#marks.find((each) => each > address) ?? this.tail
    return Math.min(mark - address, this.capacity - this.offsetOf(address))
  }

  /** Copies `[start, start + target.length)` of the read-only region into `target`. */
  copyTo(target: Uint8Array, start: number): void {
    assert(start >= this.head && start + target.length <= this.readOnly, "only what cannot change is copied")
    const offset = this.offsetOf(start)
    const first = Math.min(target.length, this.capacity - offset)
    target.set(this.bytes.subarray(offset, offset + first))
    if (first < target.length) target.set(this.bytes.subarray(0, target.length - first), first)
  }

  #makeRoom(bytes: number): void {
    const head = this.tail + bytes - this.capacity
    if (head <= this.head) return
    assert(head <= this.flushed, "only flushed records are evicted")
    this.head = head
  }
}
