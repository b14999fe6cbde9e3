// The records of a memtable in the order of their keys.
//
// A radix sort with digits of four bytes: each record is a number of 64 bits, the next four bytes of its key above
// its offset, and the numbers are sorted byte by byte, or natively where they are few. Bytes that all keys of a group
// have in common are passed over first. Records with the same four bytes are sorted by the next four, small groups of
// them by insertion.

import { compareRanges } from "../../base/bytes.ts"
import { EngineError } from "../../base/error.ts"
import { decodeRecord, RecordCursor, skipPadding } from "../../base/record.ts"
import { sortPairs } from "./radix-sort.ts"

/** Groups up to this are sorted by insertion. */
const INSERTION_MAX = 12
/** Groups from this on are sorted byte by byte: a pass over a few thousand counters costs more for fewer. */
const RADIX_MIN = 1024
const COUNT_START = 1024

/**
 * Offsets of all records in `bytes[0, end)`, dead ones included.
 * @throws EngineError `DATA_LOSS` when bytes are no record
 */
export function listRecords(bytes: Uint8Array, end: number): Uint32Array {
  const cursor = new RecordCursor()
  let offsets = new Uint32Array(COUNT_START)
  let count = 0
  for (let at = skipPadding(bytes, 0, end); at < end; at = skipPadding(bytes, cursor.end, end)) {
    // The memtable is this process's own memory: bytes that are no record mean that something overwrote it.
    if (!decodeRecord(bytes, at, end, cursor)) {
      throw new EngineError("DATA_LOSS", `the memtable is damaged ${at} bytes from its start`)
    }
    if (count === offsets.length) {
      const longer = new Uint32Array(count * 2)
      longer.set(offsets)
      offsets = longer
    }
    offsets[count++] = at
  }
  return offsets.subarray(0, count)
}

/** Sorts offsets of records in `bytes` by their keys; of one key the record with the highest offset comes first. */
export function sortRecords(bytes: Uint8Array, offsets: Uint32Array): void {
  new RecordSort(bytes, offsets).sort()
}

/** Order of the records at two offsets: by key, of one key the one behind first. */
export function compareRecords(bytes: Uint8Array, a: number, b: number): number {
  decodeRecord(bytes, a, bytes.length, LEFT)
  decodeRecord(bytes, b, bytes.length, RIGHT)
  return compareRanges(bytes, LEFT.keyStart, LEFT.keyEnd, bytes, RIGHT.keyStart, RIGHT.keyEnd) || b - a
}

const LEFT = new RecordCursor()
const RIGHT = new RecordCursor()

class RecordSort {
  readonly #bytes: Uint8Array
  readonly #offsets: Uint32Array
  readonly #numbers: BigUint64Array
  /** The same memory: the low half of a number is an offset, the high half four bytes of the key. */
  readonly #halves: Uint32Array
  readonly #scratch: Uint32Array
  readonly #cursor = new RecordCursor()

  constructor(bytes: Uint8Array, offsets: Uint32Array) {
    this.#bytes = bytes
    this.#offsets = offsets
    this.#numbers = new BigUint64Array(offsets.length)
    this.#halves = new Uint32Array(this.#numbers.buffer)
    this.#scratch = new Uint32Array(offsets.length < RADIX_MIN ? 0 : this.#halves.length)
  }

  sort(): void {
    const offsets = this.#offsets
    const halves = this.#halves
    for (let i = 0; i < offsets.length; i++) halves[2 * i] = offsets[i]!
    // Groups that are to be sorted, as start, end and how many bytes of their keys are equal.
    const groups: number[] = [0, offsets.length, 0]
    while (groups.length > 0) {
      const depth = groups.pop()!
      const end = groups.pop()!
      const start = groups.pop()!
      if (end - start <= INSERTION_MAX) this.#insertionSort(start, end)
      else this.#sortGroup(start, end, depth, groups)
    }
    for (let i = 0; i < offsets.length; i++) offsets[i] = halves[2 * i]!
  }

  #sortGroup(start: number, end: number, equalBytes: number, groups: number[]): void {
    const halves = this.#halves
    const depth = this.#commonEnd(start, end, equalBytes)
    let isDeeper = false
    for (let i = start; i < end; i++) {
      const head = this.#head(halves[2 * i]!, depth)
      halves[2 * i + 1] = head
      if (this.#cursor.keyStart + depth < this.#cursor.keyEnd) isDeeper = true
    }
    if (!isDeeper) {
      // No key goes on: all are equal but for zeros at their ends, which count by length.
      const sorted = Array.from({ length: end - start }, (_, i) => halves[2 * (start + i)]!)
      sorted.sort((a, b) => compareRecords(this.#bytes, a, b))
      for (const [i, offset] of sorted.entries()) halves[2 * (start + i)] = offset
      return
    }
    if (end - start < RADIX_MIN) this.#numbers.subarray(start, end).sort()
    else sortPairs(halves, this.#scratch, start, end)
    for (let from = start; from < end; ) {
      let to = from + 1
      while (to < end && halves[2 * to + 1] === halves[2 * from + 1]) to++
      if (to - from > 1) groups.push(from, to, depth + 4)
      from = to
    }
  }

  /** How many bytes all keys of a group have in common, when the first `equalBytes` of them are equal. */
  #commonEnd(start: number, end: number, equalBytes: number): number {
    const bytes = this.#bytes
    const halves = this.#halves
    const cursor = this.#cursor
    decodeRecord(bytes, halves[2 * start]!, bytes.length, cursor)
    const first = cursor.keyStart
    let common = cursor.keyEnd - first
    for (let i = start + 1; i < end && common > equalBytes; i++) {
      decodeRecord(bytes, halves[2 * i]!, bytes.length, cursor)
      const { keyStart } = cursor
      common = Math.min(common, cursor.keyEnd - keyStart)
      let at = equalBytes
      while (at < common && bytes[keyStart + at] === bytes[first + at]) at++
      common = at
    }
    return Math.max(common, equalBytes)
  }

  /** Four bytes of a record's key from `depth` on; zeros where it is shorter. */
  #head(offset: number, depth: number): number {
    const bytes = this.#bytes
    const cursor = this.#cursor
    decodeRecord(bytes, offset, bytes.length, cursor)
    const at = cursor.keyStart + depth
    const { keyEnd } = cursor
    if (at + 4 <= keyEnd) {
      return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
    }
    let head = 0
    for (let i = 0; i < 4; i++) head = (head << 8) | (at + i < keyEnd ? bytes[at + i]! : 0)
    return head >>> 0
  }

  #insertionSort(start: number, end: number): void {
    const halves = this.#halves
    for (let i = start + 1; i < end; i++) {
      const offset = halves[2 * i]!
      let at = i
      while (at > start && compareRecords(this.#bytes, halves[2 * (at - 1)]!, offset) > 0) {
        halves[2 * at] = halves[2 * (at - 1)]!
        at--
      }
      halves[2 * at] = offset
    }
  }
}
