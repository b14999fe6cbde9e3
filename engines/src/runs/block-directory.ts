// Which records of a cached block may have a key: a byte of each record's hash, and where it starts. A search then
// looks at the tags, which lie in one line of the processor's cache, and at one record, instead of walking over half a
// block. Made for sorted runs, when a block is searched for the second time since it was cached: many are never.
//
//   tags     [ tag tag tag … ]        64 bytes a slot of the cache: the lowest byte of h2 of each record
//   offsets  [ u16 u16 u16 … ]        where that record starts in the block, ascending
//   from     u16                      records from this offset on are listed, all of them; or NEW, or SEARCHED
//   counts   u8                       how many; TOO_MANY: more than there is room for, so they have to be walked over
//
// 195 bytes a slot, taken from the system when they are first written. Nothing is allocated per search.

import type { KeyHasher } from "../base/key-hash.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"
import { RUN_BLOCK_BYTES } from "./run-format.ts"

/** Records of a block that can be listed. Blocks with more have short ones, which are walked over fast. */
const RECORDS_MAX = 64
const TOO_MANY = RECORDS_MAX + 1
/** In the place of an offset: nothing is listed, and nobody has asked or somebody has. */
const NEW = RUN_BLOCK_BYTES
const SEARCHED = NEW + 1

/** The tag of a key by its hash. */
export function tagOf(h2: number): number {
  return h2 & 0xff
}

export class BlockDirectory {
  readonly #tags: Uint8Array
  readonly #offsets: Uint16Array
  readonly #from: Uint16Array
  readonly #counts: Uint8Array
  readonly #cursor = new RecordCursor()

  constructor(slotCount: number) {
    this.#tags = new Uint8Array(slotCount * RECORDS_MAX)
    this.#offsets = new Uint16Array(slotCount * RECORDS_MAX)
    this.#from = new Uint16Array(slotCount).fill(NEW)
    this.#counts = new Uint8Array(slotCount)
  }

  /** The slot has another block now. */
  forget(slot: number): void {
    this.#from[slot] = NEW
  }

  /** Whether `next` finds all records of the slot from offset `from` on. */
  lists(slot: number, from: number): boolean {
    return this.#from[slot]! <= from && this.#counts[slot]! !== TOO_MANY
  }

  /**
   * Told of a search from offset `from` on that found nothing listed: whether `list` is worth its while. Not at the
   * first search since the slot has its block, and not when there is no room for its records.
   */
  searched(slot: number, from: number): boolean {
    const listed = this.#from[slot]!
    if (listed === NEW) this.#from[slot] = SEARCHED
    return listed !== NEW && listed > from
  }

  /**
   * Lists the records of a slot: those in `bytes[start + from, start + end)`, one behind the other, of which the last
   * may not be whole. `start` is where the block lies in `bytes`.
   * @param hasher with the seed that keys are looked up with
   */
  list(slot: number, bytes: Buffer, start: number, from: number, end: number, hasher: KeyHasher): void {
    const cursor = this.#cursor
    const first = slot * RECORDS_MAX
    let count = 0
    for (let at = start + from; decodeRecord(bytes, at, start + end, cursor); at = cursor.end) {
      if (count === RECORDS_MAX) {
        count = TOO_MANY
        break
      }
      hasher.hash(bytes, cursor.keyStart, cursor.keyEnd)
      this.#tags[first + count] = tagOf(hasher.h2)
      this.#offsets[first + count] = at - start
      count++
    }
    this.#from[slot] = from
    this.#counts[slot] = count
  }

  /** Loads what a search in the slot looks at first; the result has no meaning. */
  touch(slot: number): number {
    return this.#tags[slot * RECORDS_MAX]! | this.#counts[slot]! | this.#offsets[slot * RECORDS_MAX]!
  }

  /** The number, from `record` on, of the first record of the slot with this tag; -1 when there is none. */
  next(slot: number, tag: number, record: number): number {
    const tags = this.#tags
    const first = slot * RECORDS_MAX
    const end = first + this.#counts[slot]!
    for (let i = first + record; i < end; i++) if (tags[i] === tag) return i - first
    return -1
  }

  /** Where a record starts in its block. */
  offset(slot: number, record: number): number {
    return this.#offsets[slot * RECORDS_MAX + record]!
  }
}
