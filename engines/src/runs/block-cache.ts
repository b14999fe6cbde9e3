// Blocks of runs that were read and checked, kept in memory: one budget for all partitions of a thread.
//
//   slab     [ block ][ block ][ block ] …       one buffer of the budget; the system gives pages as they are written
//   slots    owner, block, reference bit, next   typed arrays, one entry a block of the slab
//   buckets  hash of (owner, block) -> first slot of a chain
//
// Eviction is CLOCK (F. J. Corbató, "A Paging Experiment with the Multics System", 1968): a hand goes round the
// slots, clears the reference bits it meets, and takes the first slot that has none. A new block starts without the
// bit, so blocks that are read once go before those that are read again.
//
// An owner is one opening of one run. Its number never comes again, so a block of a run that was closed is never
// found, and the hand takes its slot in time, unless `forget` has freed it before. Nothing is allocated per look-up
// or insert. Besides the slab a block costs 13 bytes and its bucket, 4 to 8, and the directory of its records.

import { EngineError } from "../base/error.ts"
import { BlockDirectory } from "./block-directory.ts"
import { RUN_BLOCK_BYTES } from "./run-format.ts"

/** What an engine takes that is given no cache to share. */
export const BLOCK_CACHE_BYTES_DEFAULT = 8 * 1024 * 1024
/** The slab is one buffer: no longer than a buffer may be. */
export const BLOCK_CACHE_BYTES_MAX = 2 ** 32

/** Slots looked at by one call of `forget`. */
const FORGET_SLOTS = 8192

const NONE = -1
/** Numbers of owners start at 1. */
const NOBODY = 0
const U32_SPAN = 2 ** 32
/** Knuth's multiplier for hashing by multiplication. */
const GOLDEN = 0x9e3779b1

/** How full a cache is and how well it does. */
export interface BlockCacheStatistics {
  /** Bytes of the blocks that are held; also those of closed runs, until they are evicted. */
  readonly bytesUsed: number
  /** Its budget, in whole blocks. */
  readonly bytesMax: number
  /** Blocks that a read found, and those that it did not, since the cache was made. */
  readonly hitCount: number
  /** Blocks that had to be read. */
  readonly missCount: number
  /** Blocks that made room for others. */
  readonly evictionCount: number
}

/** One thread has it; any number of engines on that thread may share it. It needs no closing. */
export class BlockCache {
  /** What is known of the records in each slot; a slot is `find(…) / RUN_BLOCK_BYTES`. @internal */
  readonly directory: BlockDirectory
  readonly #slab: Buffer
  readonly #slotCount: number
  readonly #owner: Uint32Array
  readonly #block: Uint32Array
  readonly #isReferenced: Uint8Array
  /** The next slot of the same bucket. */
  readonly #next: Int32Array
  readonly #buckets: Int32Array
  readonly #bucketShift: number
  #usedCount = 0
  /** Slots below `#usedCount` that hold nothing, chained by `#next`; their owner is NOBODY. */
  #firstFree = NONE
  #freeCount = 0
  #hand = 0
  #lastOwner = 0
  #hitCount = 0
  #missCount = 0
  #evictionCount = 0

  /**
   * @param bytesMax budget, rounded down to whole blocks; below one block nothing is kept
   * @throws EngineError `SETTING_INVALID`
   */
  constructor(bytesMax: number) {
    if (!Number.isInteger(bytesMax) || bytesMax < 0 || bytesMax > BLOCK_CACHE_BYTES_MAX) {
      throw new EngineError(
        "SETTING_INVALID",
        `a block cache of ${bytesMax} bytes; it has 0 to ${BLOCK_CACHE_BYTES_MAX}`,
      )
    }
    const slots = Math.floor(bytesMax / RUN_BLOCK_BYTES)
    const bucketBits = Math.max(1, Math.ceil(Math.log2(slots + 1)))
    this.#slotCount = slots
    this.directory = new BlockDirectory(slots)
    this.#slab = Buffer.from(new ArrayBuffer(slots * RUN_BLOCK_BYTES))
    this.#owner = new Uint32Array(slots)
    this.#block = new Uint32Array(slots)
    this.#isReferenced = new Uint8Array(slots)
    this.#next = new Int32Array(slots).fill(NONE)
    this.#buckets = new Int32Array(2 ** bucketBits).fill(NONE)
    this.#bucketShift = 32 - bucketBits
  }

  /** The slab: a block that `find` has found lies here. @internal */
  get bytes(): Buffer {
    return this.#slab
  }

  /** A number for one opening of a run: no other opening gets it. @internal */
  newOwner(): number {
    this.#lastOwner++
    return this.#lastOwner
  }

  /**
   * Where a block starts in `bytes`, or -1 when it is not here. The bytes are valid until the next `insert`: copy what
   * is kept within the same turn, before anything else is called. Counted as a hit or a miss.
   * @internal
   */
  find(owner: number, block: number): number {
    const slot = this.#slotOf(owner, block)
    if (slot === NONE) {
      this.#missCount++
      return NONE
    }
    this.#hitCount++
    this.#isReferenced[slot] = 1
    return slot * RUN_BLOCK_BYTES
  }

  /** As `find`, for who asked before: counts nothing and marks nothing. @internal */
  peek(owner: number, block: number): number {
    const slot = this.#slotOf(owner, block)
    return slot === NONE ? NONE : slot * RUN_BLOCK_BYTES
  }

  /**
   * Keeps a copy of the block in `source[start, end)`, at most RUN_BLOCK_BYTES, whose checksum was found right. May
   * evict any other block.
   * @internal
   */
  insert(owner: number, block: number, source: Uint8Array, start: number, end: number): void {
    // Beyond 16 TiB of one run the number of a block does not fit: it is read each time.
    if (this.#slotCount === 0 || block >= U32_SPAN || owner >= U32_SPAN) return
    if (this.#slotOf(owner, block) !== NONE) return
    const slot = this.#freeSlot()
    this.#slab.set(source.subarray(start, end), slot * RUN_BLOCK_BYTES)
    this.#owner[slot] = owner
    this.#block[slot] = block
    this.#isReferenced[slot] = 0
    this.directory.forget(slot)
    const bucket = this.#bucketOf(owner, block)
    this.#next[slot] = this.#buckets[bucket]!
    this.#buckets[bucket] = slot
  }

  /** How many blocks can be kept before one is evicted. @internal */
  get spareBlocks(): number {
    return this.#slotCount - this.#usedCount + this.#freeCount
  }

  /**
   * Frees the slots of an owner that is not read any more, in steps, so that what is kept next evicts nothing. The
   * first step is from slot 0; returns where the next one goes on, -1 when there is none.
   * @internal
   */
  forget(owner: number, from: number): number {
    const end = Math.min(from + FORGET_SLOTS, this.#usedCount)
    for (let slot = from; slot < end; slot++) {
      if (this.#owner[slot] !== owner) continue
      this.#unlink(slot)
      this.#owner[slot] = NOBODY
      this.#next[slot] = this.#firstFree
      this.#firstFree = slot
      this.#freeCount++
    }
    return end < this.#usedCount ? end : NONE
  }

  /** How full it is and how well it does. */
  statistics(): BlockCacheStatistics {
    return {
      bytesUsed: (this.#usedCount - this.#freeCount) * RUN_BLOCK_BYTES,
      bytesMax: this.#slotCount * RUN_BLOCK_BYTES,
      hitCount: this.#hitCount,
      missCount: this.#missCount,
      evictionCount: this.#evictionCount,
    }
  }

  #slotOf(owner: number, block: number): number {
    let slot = this.#buckets[this.#bucketOf(owner, block)]!
    while (slot !== NONE && (this.#block[slot] !== block || this.#owner[slot] !== owner)) {
      slot = this.#next[slot]!
    }
    return slot
  }

  #bucketOf(owner: number, block: number): number {
    // Blocks of a run side by side go to buckets far apart, and each owner starts somewhere else.
    return Math.imul(block ^ Math.imul(owner, 0x85ebca6b), GOLDEN) >>> this.#bucketShift
  }

  #freeSlot(): number {
    const free = this.#firstFree
    if (free !== NONE) {
      this.#firstFree = this.#next[free]!
      this.#freeCount--
      return free
    }
    if (this.#usedCount < this.#slotCount) return this.#usedCount++
    for (;;) {
      const slot = this.#hand
      this.#hand = slot + 1 === this.#slotCount ? 0 : slot + 1
      if (this.#isReferenced[slot] === 0) {
        this.#unlink(slot)
        this.#evictionCount++
        return slot
      }
      this.#isReferenced[slot] = 0
    }
  }

  #unlink(slot: number): void {
    const bucket = this.#bucketOf(this.#owner[slot]!, this.#block[slot]!)
    let before = NONE
    let at = this.#buckets[bucket]!
    while (at !== slot) {
      before = at
      at = this.#next[at]!
    }
    if (before === NONE) this.#buckets[bucket] = this.#next[slot]!
    else this.#next[before] = this.#next[slot]!
  }
}
