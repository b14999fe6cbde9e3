// Values out of an answer, as bytes of the caller's own.
//
//   answer  │ 3 xyz │ 0 │ 3 abc │ …        (length uvarint | bytes)*
//   slab        xyz   ·     abc           a copy of the stretch that the next values lie in
//   values      ───         ───           views of the slab
//
// Why copies: a view of the answer would keep all of it, up to a message, in memory for as long as the caller keeps one
// value. Why slabs: one copy for many values; copying each into a buffer of its own made two objects a value.

import { decodeValue, ValueCursor } from "@varve/proto"

/** What one small value that is kept may keep in memory; as large as Node's own pool of small buffers. */
const SLAB_BYTES = 8 * 1024
/** A value from here on has memory of its own. */
const OWN_BYTES = SLAB_BYTES / 2

const EMPTY = Buffer.alloc(0)

const cursor = new ValueCursor()

/** How many values the list holds; -1 when it is malformed. */
export function countValues(list: Uint8Array): number {
  let count = 0
  for (let at = 0; at < list.length; at = cursor.end) {
    if (!decodeValue(list, at, list.length, cursor)) return -1
    count++
  }
  return count
}

/** Reads a list that `countValues` has found whole. */
export class ValueSource {
  readonly #list: Buffer
  #at = 0
  #slab: Buffer = EMPTY
  /** The slab holds `[slabStart, slabEnd)` of the list. */
  #slabStart = 0
  #slabEnd = 0

  constructor(list: Uint8Array) {
    this.#list = list instanceof Buffer ? list : Buffer.from(list.buffer, list.byteOffset, list.byteLength)
  }

  /** The next value, the caller's own; `undefined`: the key was not found. */
  next(): Buffer | undefined {
    const { start, end } = this.#nextRange()
    if (start === end) return undefined
    if (end - start >= OWN_BYTES) return copyOf(this.#list, start, end)
    if (end > this.#slabEnd) {
      // The last one, which a lone `get` asks for.
      if (end === this.#list.length) return copyOf(this.#list, start, end)
      this.#slabStart = start
      this.#slabEnd = Math.min(start + SLAB_BYTES, this.#list.length)
      this.#slab = copyOf(this.#list, start, this.#slabEnd)
    }
    return this.#slab.subarray(start - this.#slabStart, end - this.#slabStart)
  }

  /** Passes over the next value. */
  skip(): void {
    this.#nextRange()
  }

  #nextRange(): ValueCursor {
    if (!decodeValue(this.#list, this.#at, this.#list.length, cursor)) {
      throw new Error("invariant broken: the list of values was checked")
    }
    this.#at = cursor.end
    return cursor
  }
}

function copyOf(list: Buffer, start: number, end: number): Buffer {
  // Of less than 4 KiB in a slab of Node's own, which has 8 KiB too: memory of its own would cost an allocation outside of the heap.
  const copy = Buffer.allocUnsafe(end - start)
  list.copy(copy, 0, start, end)
  return copy
}
