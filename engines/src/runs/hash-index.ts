// From the 48-bit hash of a key to an address, for as many keys as memory holds. No keys are kept: whoever
// asks compares the key at the address. At most one entry a hash.
//
// Linear hashing (W. Litwin, VLDB 1980): the table grows by one bucket every few inserts, in order, so that no
// insert pauses and nothing is ever copied as a whole. A bucket is one cache line of sixteen words:
//
//   word 0      1            2                            …  12 13 14   15
//        h1     address low  h2 << 16 | address bits 32+     entry 4    link << 3 | entries in this bucket
//        └──────── entry 0 ────────────────────────────┘
//
// A bucket that is full chains to overflow buckets of the same shape by `link` (0: none). Entries of a chain
// are dense: all buckets but its last are full. Buckets lie in segments of fixed size, primary and overflow
// ones apart; freed overflow buckets are chained by `link` for reuse.
//
// Which bucket: the lowest `depth` bits of h1; buckets below `#split` were split in this round and use one bit
// more. ENTRIES_PER_BUCKET_TARGET entries a primary bucket on average cost some 20 bytes a key, overflow
// included.
//
// A scan goes through the hashes in an order that splits do not disturb: scan-order.ts.

import { assert } from "../base/assert.ts"
import { hashAt, POSITION_END, positionOf, stretchEnd } from "./scan-order.ts"

const BUCKET_WORDS = 16
const BUCKET_SHIFT = 4
const ENTRY_WORDS = 3
const ENTRIES_PER_BUCKET = 5
const LINK_WORD = 15
const LINK_SHIFT = 3
const COUNT_MASK = 7

/** Buckets of a segment, as a power of two: 4096 buckets are 256 KiB, small enough for small indexes. */
const SEGMENT_SHIFT = 12
const SEGMENT_BUCKETS = 1 << SEGMENT_SHIFT
const SEGMENT_MASK = SEGMENT_BUCKETS - 1
const SEGMENT_WORDS = SEGMENT_BUCKETS * BUCKET_WORDS

/** Buckets that a new index has, as a power of two. */
const DEPTH_START = 4
/** 2^28 buckets hold a thousand million keys in 16 GiB; then chains grow instead. */
const DEPTH_MAX = 28
const OVERFLOW_BUCKETS_MAX = 2 ** 28

const ENTRIES_PER_BUCKET_TARGET = 4

const U32_SPAN = 2 ** 32
const ADDRESS_HIGH_MASK = 0xffff

assert(ENTRIES_PER_BUCKET * ENTRY_WORDS === LINK_WORD, "entries fill a bucket up to its link")
assert(ENTRIES_PER_BUCKET <= COUNT_MASK, "the count of a bucket fits its bits")
assert(BUCKET_WORDS === 1 << BUCKET_SHIFT, "a bucket is a power of two of words")

/**
 * Addresses by hash. `h1` has 32 bits, `h2` 16, an address 48; all unsigned integers. Only `bytes` grows: removed
 * entries leave room for new ones. No call allocates except that a segment is added now and then.
 */
export class HashIndex {
  /** How many addresses the last `scanBuckets` wrote. */
  scanned = 0
  /** Of no meaning: keeps what `getBatch` only touches from being optimised away. */
  touched = 0

  readonly #primary: Int32Array[] = [new Int32Array(SEGMENT_WORDS)]
  readonly #overflow: Int32Array[] = []
  #depth = DEPTH_START
  /** Mask of `depth` bits, and of one more. */
  #mask = (1 << DEPTH_START) - 1
  #maskSplit = (2 << DEPTH_START) - 1
  /** The bucket that is split next. */
  #split = 0
  #count = 0
  /** Split when `count` goes above this. */
  #countMax = ENTRIES_PER_BUCKET_TARGET << DEPTH_START
  /** Overflow buckets ever used, numbered from 1; number 0 is "none". */
  #overflowUsed = 0
  #overflowFree = 0

  // Where `#find` and `#open` leave what they found.
  #segment: Int32Array = this.#primary[0]!
  #at = 0

  /** @param expectedCount entries for which buckets are made at once; the system gives pages only as they fill */
  constructor(expectedCount = 0) {
    const wanted = Math.ceil(expectedCount / ENTRIES_PER_BUCKET_TARGET)
    const buckets = Math.min(2 ** DEPTH_MAX, Math.max(2 ** DEPTH_START, wanted))
    this.#depth = 31 - Math.clz32(buckets)
    this.#mask = (1 << this.#depth) - 1
    this.#maskSplit = this.#mask * 2 + 1
    this.#split = buckets - this.#mask - 1
    this.#countMax = ENTRIES_PER_BUCKET_TARGET * buckets
    while (this.#primary.length * SEGMENT_BUCKETS < buckets) this.#primary.push(new Int32Array(SEGMENT_WORDS))
  }

  /** How many entries there are. */
  get count(): number {
    return this.#count
  }

  /** Bytes reserved. */
  get bytes(): number {
    return (this.#primary.length + this.#overflow.length) * SEGMENT_WORDS * 4
  }

  /** The address kept under the hash, or -1. */
  get(h1: number, h2: number): number {
    const tag = h1 | 0
    let bucket = h1 & this.#mask
    if (bucket < this.#split) bucket = h1 & this.#maskSplit
    let segment = this.#primary[bucket >>> SEGMENT_SHIFT]!
    let at = (bucket & SEGMENT_MASK) << BUCKET_SHIFT
    for (;;) {
      const meta = segment[at + LINK_WORD]!
      const end = at + (meta & COUNT_MASK) * ENTRY_WORDS
      for (let entry = at; entry < end; entry += ENTRY_WORDS) {
        if (segment[entry] === tag && segment[entry + 2]! >>> 16 === h2) {
          return (segment[entry + 1]! >>> 0) + (segment[entry + 2]! & ADDRESS_HIGH_MASK) * U32_SPAN
        }
      }
      const link = meta >>> LINK_SHIFT
      if (link === 0) return -1
      segment = this.#overflow[link >>> SEGMENT_SHIFT]!
      at = (link & SEGMENT_MASK) << BUCKET_SHIFT
    }
  }

  /**
   * Looks up the first `count` hashes of two arrays: `addresses[i]` is what `get(h1[i], h2[i])` gives. The first loop
   * only touches the buckets, so that the processor waits for all of them at once.
   */
  getBatch(h1: Uint32Array, h2: Uint16Array, addresses: Float64Array, count: number): void {
    const primary = this.#primary
    const split = this.#split
    let touched = 0
    for (let i = 0; i < count; i++) {
      const hash = h1[i]!
      let bucket = hash & this.#mask
      if (bucket < split) bucket = hash & this.#maskSplit
      touched |= primary[bucket >>> SEGMENT_SHIFT]![((bucket & SEGMENT_MASK) << BUCKET_SHIFT) + LINK_WORD]!
    }
    this.touched = touched
    for (let i = 0; i < count; i++) addresses[i] = this.get(h1[i]!, h2[i]!)
  }

  /** Sets the address kept under the hash and returns the one before, or -1. */
  set(h1: number, h2: number, address: number): number {
    if (this.#find(h1, h2)) {
      const before = this.#address()
      this.#write(h2, address)
      return before
    }
    this.#insert(h1, h2, address)
    return -1
  }

  /** Changes the address under the hash from `from` to `to`; false, and nothing changed, when it is not `from`. */
  replace(h1: number, h2: number, from: number, to: number): boolean {
    if (!this.#find(h1, h2) || this.#address() !== from) return false
    this.#write(h2, to)
    return true
  }

  /** Adds an entry; false, and nothing changed, when the hash has one. */
  insertIfAbsent(h1: number, h2: number, address: number): boolean {
    if (this.#find(h1, h2)) return false
    this.#insert(h1, h2, address)
    return true
  }

  /** Removes the entry of the hash when it holds `address`; false, and nothing changed, otherwise. */
  remove(h1: number, h2: number, address: number): boolean {
    if (!this.#find(h1, h2) || this.#address() !== address) return false
    const hole = this.#segment
    const holeAt = this.#at
    this.#takeLast(this.#bucketOf(h1))
    // `#takeLast` left the place of the chain's last entry, which fills the hole (or is the hole).
    hole[holeAt] = this.#segment[this.#at]!
    hole[holeAt + 1] = this.#segment[this.#at + 1]!
    hole[holeAt + 2] = this.#segment[this.#at + 2]!
    this.#count--
    return true
  }

  /**
   * Writes addresses to `target` from 0, `scanned` of them, and returns the position to go on from, -1 at the end.
   * Position 0 starts. An entry that is there from the first call to the last comes exactly once, however the
   * index changes in between. A call visits at most `target.length` buckets: fewer addresses than fit, even
   * none, do not mean the end.
   */
  scanBuckets(position: number, target: Float64Array): number {
    assert(target.length > 0, "a scan has room for an address")
    this.scanned = 0
    let at = position
    for (let visits = 0; visits < target.length; visits++) {
      if (at >= POSITION_END) return -1
      const bucket = this.#bucketOf(hashAt(at))
      // The stretch of the bucket that the position lies in, from the position on.
      const depth = bucket < this.#split || bucket > this.#mask ? this.#depth + 1 : this.#depth
      let end = stretchEnd(at, depth)
      const room = target.length - this.scanned
      if (this.#countBetween(bucket, at, end) > room) {
        if (this.scanned > 0) return at
        // A chain longer than the target: less of it. One hash has one entry, so this ends.
        do end = at + Math.ceil((end - at) / 2)
        while (this.#countBetween(bucket, at, end) > room)
      }
      this.#copyBetween(bucket, at, end, target)
      at = end
    }
    return at >= POSITION_END ? -1 : at
  }

  #bucketOf(h1: number): number {
    const bucket = h1 & this.#mask
    return bucket < this.#split ? h1 & this.#maskSplit : bucket
  }

  /** Leaves the place of the entry in `#segment` and `#at`, when there is one. */
  #find(h1: number, h2: number): boolean {
    const tag = h1 | 0
    const bucket = this.#bucketOf(h1)
    let segment = this.#primary[bucket >>> SEGMENT_SHIFT]!
    let at = (bucket & SEGMENT_MASK) << BUCKET_SHIFT
    for (;;) {
      const meta = segment[at + LINK_WORD]!
      const end = at + (meta & COUNT_MASK) * ENTRY_WORDS
      for (let entry = at; entry < end; entry += ENTRY_WORDS) {
        if (segment[entry] === tag && segment[entry + 2]! >>> 16 === h2) {
          this.#segment = segment
          this.#at = entry
          return true
        }
      }
      const link = meta >>> LINK_SHIFT
      if (link === 0) return false
      segment = this.#overflow[link >>> SEGMENT_SHIFT]!
      at = (link & SEGMENT_MASK) << BUCKET_SHIFT
    }
  }

  /** The address of the entry at the place. */
  #address(): number {
    const at = this.#at
    return (this.#segment[at + 1]! >>> 0) + (this.#segment[at + 2]! & ADDRESS_HIGH_MASK) * U32_SPAN
  }

  #write(h2: number, address: number): void {
    this.#segment[this.#at + 1] = address | 0
    this.#segment[this.#at + 2] = (h2 << 16) | (Math.floor(address / U32_SPAN) & ADDRESS_HIGH_MASK)
  }

  #insert(h1: number, h2: number, address: number): void {
    this.#append(this.#bucketOf(h1))
    this.#segment[this.#at] = h1 | 0
    this.#write(h2, address)
    this.#count++
    if (this.#count > this.#countMax && this.#depth < DEPTH_MAX) this.#splitOne()
  }

  /** Adds room for one entry at the end of a bucket's chain and leaves its place. */
  #append(bucket: number): void {
    let segment = this.#primary[bucket >>> SEGMENT_SHIFT]!
    let at = (bucket & SEGMENT_MASK) << BUCKET_SHIFT
    let meta = segment[at + LINK_WORD]!
    while ((meta & COUNT_MASK) === ENTRIES_PER_BUCKET) {
      let link = meta >>> LINK_SHIFT
      if (link === 0) {
        link = this.#newOverflow()
        segment[at + LINK_WORD] = (link << LINK_SHIFT) | ENTRIES_PER_BUCKET
      }
      segment = this.#overflow[link >>> SEGMENT_SHIFT]!
      at = (link & SEGMENT_MASK) << BUCKET_SHIFT
      meta = segment[at + LINK_WORD]!
    }
    segment[at + LINK_WORD] = meta + 1
    this.#segment = segment
    this.#at = at + (meta & COUNT_MASK) * ENTRY_WORDS
  }

  /** Takes the last entry off a bucket's chain, which has one, and leaves its place, still readable. */
  #takeLast(bucket: number): void {
    let segment = this.#primary[bucket >>> SEGMENT_SHIFT]!
    let at = (bucket & SEGMENT_MASK) << BUCKET_SHIFT
    let before: Int32Array | undefined
    let beforeAt = 0
    for (;;) {
      const meta = segment[at + LINK_WORD]!
      const link = meta >>> LINK_SHIFT
      if (link !== 0) {
        before = segment
        beforeAt = at
        segment = this.#overflow[link >>> SEGMENT_SHIFT]!
        at = (link & SEGMENT_MASK) << BUCKET_SHIFT
        continue
      }
      const left = (meta & COUNT_MASK) - 1
      segment[at + LINK_WORD] = left
      this.#segment = segment
      this.#at = at + left * ENTRY_WORDS
      if (left === 0 && before !== undefined) {
        this.#freeOverflow(before[beforeAt + LINK_WORD]! >>> LINK_SHIFT)
        before[beforeAt + LINK_WORD] = ENTRIES_PER_BUCKET
      }
      return
    }
  }

  /** An empty overflow bucket. */
  #newOverflow(): number {
    const free = this.#overflowFree
    if (free !== 0) {
      const segment = this.#overflow[free >>> SEGMENT_SHIFT]!
      const at = ((free & SEGMENT_MASK) << BUCKET_SHIFT) + LINK_WORD
      this.#overflowFree = segment[at]! >>> LINK_SHIFT
      segment[at] = 0
      return free
    }
    const number = ++this.#overflowUsed
    assert(number < OVERFLOW_BUCKETS_MAX, "overflow buckets have numbers of 28 bits")
    if (number >>> SEGMENT_SHIFT === this.#overflow.length) this.#overflow.push(new Int32Array(SEGMENT_WORDS))
    return number
  }

  #freeOverflow(number: number): void {
    const at = ((number & SEGMENT_MASK) << BUCKET_SHIFT) + LINK_WORD
    this.#overflow[number >>> SEGMENT_SHIFT]![at] = this.#overflowFree << LINK_SHIFT
    this.#overflowFree = number
  }

  /** How many entries of a bucket's chain have their position in `[start, end)`. */
  #countBetween(bucket: number, start: number, end: number): number {
    return this.#visit(bucket, start, end, undefined)
  }

  #copyBetween(bucket: number, start: number, end: number, target: Float64Array): void {
    this.scanned += this.#visit(bucket, start, end, target)
  }

  #visit(bucket: number, start: number, end: number, target: Float64Array | undefined): number {
    let segment = this.#primary[bucket >>> SEGMENT_SHIFT]!
    let at = (bucket & SEGMENT_MASK) << BUCKET_SHIFT
    let found = 0
    for (;;) {
      const meta = segment[at + LINK_WORD]!
      const last = at + (meta & COUNT_MASK) * ENTRY_WORDS
      for (let entry = at; entry < last; entry += ENTRY_WORDS) {
        const position = positionOf(segment[entry]!, segment[entry + 2]! >>> 16)
        if (position < start || position >= end) continue
        if (target !== undefined) {
          target[this.scanned + found] =
            (segment[entry + 1]! >>> 0) + (segment[entry + 2]! & ADDRESS_HIGH_MASK) * U32_SPAN
        }
        found++
      }
      const link = meta >>> LINK_SHIFT
      if (link === 0) return found
      segment = this.#overflow[link >>> SEGMENT_SHIFT]!
      at = (link & SEGMENT_MASK) << BUCKET_SHIFT
    }
  }

  /** Splits bucket `#split`: entries whose next hash bit is set move to the new bucket at the end. */
  #splitOne(): void {
    const source = this.#split
    const target = source + this.#mask + 1
    if (target >>> SEGMENT_SHIFT === this.#primary.length) this.#primary.push(new Int32Array(SEGMENT_WORDS))
    const bit = this.#mask + 1
    let segment = this.#primary[source >>> SEGMENT_SHIFT]!
    let at = (source & SEGMENT_MASK) << BUCKET_SHIFT
    // The chain is emptied as it is read; what stays is appended again, never ahead of what was read.
    for (let number = 0; ; ) {
      const meta = segment[at + LINK_WORD]!
      const link = meta >>> LINK_SHIFT
      segment[at + LINK_WORD] = 0
      const end = at + (meta & COUNT_MASK) * ENTRY_WORDS
      for (let entry = at; entry < end; entry += ENTRY_WORDS) {
        const w0 = segment[entry]!
        const w1 = segment[entry + 1]!
        const w2 = segment[entry + 2]!
        this.#append((w0 & bit) === 0 ? source : target)
        this.#segment[this.#at] = w0
        this.#segment[this.#at + 1] = w1
        this.#segment[this.#at + 2] = w2
      }
      if (number !== 0) this.#freeOverflow(number)
      if (link === 0) break
      number = link
      segment = this.#overflow[link >>> SEGMENT_SHIFT]!
      at = (link & SEGMENT_MASK) << BUCKET_SHIFT
    }
    this.#split++
    this.#countMax += ENTRIES_PER_BUCKET_TARGET
    if (this.#split > this.#mask) {
      this.#split = 0
      this.#depth++
      this.#mask = this.#maskSplit
      this.#maskSplit = this.#maskSplit * 2 + 1
    }
  }
}
