// A run file that is open in this process, shared by all who read it. Whoever needs it holds it; without holders
// it is closed, and its directory decides whether the file goes too.
//
// Point reads go through a cache of blocks: `cachedRecord` and `cachedBlock` answer at once when all is there, `read`
// and `block` ask the disk and fill the cache. What reads whole runs (scans, merges) passes it by, so that it does not
// push out what is read again and again.

import { assert } from "../base/assert.ts"
import { copyRange } from "../base/bytes.ts"
import { decodeRecord, peekRecordBytes, RECORD_HEADER_BYTES_MAX, RecordCursor } from "../base/record.ts"
import { BlockCache } from "./block-cache.ts"
import type { HashPage } from "./hash-page.ts"
import { ReadLane } from "./read-lane.ts"
import type { RunFigures } from "./run.ts"
import type { RunFile, RunPage } from "./run-file.ts"
import { blockCount, RUN_BLOCK_BYTES, runDamage } from "./run-format.ts"
import type { SortedIndex } from "./sorted-index.ts"

/** Records over more blocks than that, values above 60 KiB, are read from disk each time. */
const CACHED_RECORD_BLOCKS_MAX = 16

/** Where `cachedRecord` puts the blocks of a record together: used and left within one turn. */
const assembly = Buffer.allocUnsafeSlow(CACHED_RECORD_BLOCKS_MAX * RUN_BLOCK_BYTES)

/** A record as it lies in `bytes`. Both are shared with other readers: copy what is kept, change nothing. */
export interface RunRecord {
  readonly bytes: Uint8Array
  /** Offsets into `bytes`. */
  readonly cursor: RecordCursor
}

/** All reads reject with EngineError `DATA_LOSS` or `STORAGE_FAILED`, and keep the run open until they are done. */
export class OpenRun {
  readonly #file: RunFile
  readonly #onUnheld: (run: OpenRun) => void
  readonly #cache: BlockCache
  readonly #lane: ReadLane
  readonly #owner: number
  #holds = 1
  /** Blocks that are being read: readers of one block share one read of the disk. */
  readonly #reads = new Map<number, Promise<Uint8Array>>()

  /**
   * The caller is the first holder.
   * @param onUnheld called once, when the last hold is given up; closes `file`
   * @param cache by default nothing is kept
   * @param lane of the partition
   */
  constructor(
    file: RunFile,
    onUnheld: (run: OpenRun) => void,
    cache: BlockCache = new BlockCache(0),
    lane: ReadLane = new ReadLane(),
  ) {
    this.#file = file
    this.#lane = lane
    this.#onUnheld = onUnheld
    this.#cache = cache
    this.#owner = cache.newOwner()
  }

  get figures(): RunFigures {
    return this.#file.figures
  }

  /** Filter and fences of a sorted run; undefined for others. */
  get sortedIndex(): SortedIndex | undefined {
    return this.#file.sortedIndex
  }

  /** Absolute. */
  get path(): string {
    return this.#file.path
  }

  /** Seed of the hashes in the run. */
  get hashSeed(): number {
    return this.#file.hashSeed
  }

  /**
   * The bytes in which `cursor` shows the record that starts at `offset`, when the cache has all of it; undefined when
   * `read` has to be asked. Nothing is allocated. The bytes are valid until the next call to any run or to the cache:
   * copy what is kept at once.
   */
  cachedRecord(offset: number, cursor: RecordCursor): Buffer | undefined {
    if (offset >= this.figures.recordsBytes) return undefined
    const block = Math.floor(offset / RUN_BLOCK_BYTES)
    const start = this.#cache.find(this.#owner, block)
    if (start < 0) return undefined
    const at = start + offset - block * RUN_BLOCK_BYTES
    const { bytes } = this.#cache
    if (decodeRecord(bytes, at, start + this.#recordsBytesOf(block), cursor)) return bytes
    return this.#cachedLongRecord(block, offset - block * RUN_BLOCK_BYTES, cursor)
  }

  /**
   * Where a block starts in `cachedBytes`, or -1 when the cache does not have it and `block` has to be asked. It has
   * RUN_BLOCK_BYTES, or less if it is the last that a checksum covers. Valid until the next call to any run or to the
   * cache.
   */
  cachedBlock(block: number): number {
    return this.#cache.find(this.#owner, block)
  }

  /** Where cached blocks lie. */
  get cachedBytes(): Buffer {
    return this.#cache.bytes
  }

  /**
   * The checked bytes of a block that exists. Shared with other readers, and never changed: they stay valid as long as
   * they are referred to. Readers of one block share one read of the disk; the cache has it afterwards.
   */
  async block(block: number): Promise<Uint8Array> {
    this.retain()
    try {
      return await this.#block(block)
    } finally {
      this.release()
    }
  }

  /** The record that starts at `offset`. One read of one block, nearly always; none when the cache has it. */
  async read(offset: number): Promise<RunRecord> {
    if (offset >= this.figures.recordsBytes) throw runDamage(this.path, `it has no byte ${offset}`)
    this.retain()
    try {
      const first = Math.floor(offset / RUN_BLOCK_BYTES)
      const at = offset - first * RUN_BLOCK_BYTES
      const cursor = new RecordCursor()
      const block = await this.#block(first)
      if (decodeRecord(block, at, this.#recordsIn(first, block), cursor)) return { bytes: block, cursor }
      const bytes = await this.#longRecord(first, at, block)
      if (!decodeRecord(bytes, at, bytes.length, cursor))
        throw runDamage(this.path, `no record at byte ${offset}`)
      return { bytes, cursor }
    } finally {
      this.release()
    }
  }

  /** The hash section, in pages, in record order. A page is valid until the next one is asked for. */
  async *hashes(): AsyncGenerator<HashPage, void, undefined> {
    this.retain()
    try {
      yield* this.#file.hashes()
    } finally {
      this.release()
    }
  }

  /** All listed records, in file order. A page is valid until the next one is asked for. */
  async *scan(): AsyncGenerator<RunPage, void, undefined> {
    this.retain()
    try {
      yield* this.#file.scan()
    } finally {
      this.release()
    }
  }

  /** See `RunFile.readBlocks`; for who reads a run at length. Holds the run meanwhile. */
  async readBlocks(first: number, count: number, target: Uint8Array): Promise<number> {
    this.retain()
    try {
      return await this.#file.readBlocks(first, count, target)
    } finally {
      this.release()
    }
  }

  /** One more holder. */
  retain(): void {
    assert(this.#holds > 0, "a run is retained while it is held")
    this.#holds++
  }

  /** One holder less. Without holders the run is closed, and its file deleted unless its directory keeps files. */
  release(): void {
    assert(this.#holds > 0, "a run is released once a hold")
    this.#holds--
    if (this.#holds === 0) this.#onUnheld(this)
  }

  /** The record at `at` of block `first`, which the cache has and which does not hold all of it. */
  #cachedLongRecord(first: number, at: number, cursor: RecordCursor): Buffer | undefined {
    const { recordsBytes } = this.figures
    let count = 1
    let bytes = 0
    for (let i = 0; i < count; i++) {
      const start = this.#cache.find(this.#owner, first + i)
      if (start < 0) return undefined
      const blockBytes = this.#recordsBytesOf(first + i)
      copyRange(assembly, bytes, this.#cache.bytes, start, start + blockBytes)
      bytes += blockBytes
      if (i > 1) continue
      // The lengths may themselves go on in the second block.
      const recordBytes = peekRecordBytes(assembly, at, bytes)
      const end = recordBytes < 0 ? at + RECORD_HEADER_BYTES_MAX : at + recordBytes
      count = Math.max(count, blockCount(Math.min(end, recordsBytes - first * RUN_BLOCK_BYTES)))
      if (count > CACHED_RECORD_BLOCKS_MAX) return undefined
    }
    // No record there: `read` says so.
    return decodeRecord(assembly, at, bytes, cursor) ? assembly : undefined
  }

  #block(block: number): Promise<Uint8Array> {
    const underWay = this.#reads.get(block)
    if (underWay !== undefined) return underWay
    const isCached = this.#cache.peek(this.#owner, block) >= 0
    const read = this.#readBlock(block)
    // Removed when it has been read: a block that the cache has would stay for ever.
    if (!isCached) this.#reads.set(block, read)
    return read
  }

  async #readBlock(block: number): Promise<Uint8Array> {
    const start = this.#cache.peek(this.#owner, block)
    if (start >= 0) {
      const bytes = Math.min(RUN_BLOCK_BYTES, this.#file.blocksEnd - block * RUN_BLOCK_BYTES)
      return new Uint8Array(this.#cache.bytes.subarray(start, start + bytes))
    }
    try {
      return await this.#blocks(block, 1)
    } finally {
      this.#reads.delete(block)
    }
  }

  /** The blocks from `first` on that hold the record at `at` of the first, without what follows the records. */
  async #longRecord(first: number, at: number, firstBlock: Uint8Array): Promise<Uint8Array> {
    const offset = first * RUN_BLOCK_BYTES + at
    let bytes = firstBlock
    // The lengths themselves may go on in the next block.
    const lengthsEnd = Math.min(offset + RECORD_HEADER_BYTES_MAX, this.figures.recordsBytes)
    if (lengthsEnd > (first + 1) * RUN_BLOCK_BYTES) {
      bytes = Buffer.concat([bytes, await this.#block(first + 1)])
    }
    const recordBytes = this.#file.checkedRecordBytes(bytes, at, offset)
    const have = blockCount(bytes.length)
    const missing = blockCount(at + recordBytes) - have
    if (missing === 1) bytes = Buffer.concat([bytes, await this.#block(first + have)])
    else if (missing > 1) bytes = Buffer.concat([bytes, await this.#blocks(first + have, missing)])
    return bytes.subarray(0, this.#recordsIn(first, bytes))
  }

  /** Reads blocks and fills the cache, unless they are of a record that is never served from it. */
  async #blocks(first: number, count: number): Promise<Uint8Array> {
    const turn = this.#lane.enter()
    if (turn !== undefined) await turn
    let bytes: Buffer
    try {
      const target = Buffer.allocUnsafeSlow(count * RUN_BLOCK_BYTES)
      bytes = target.subarray(0, await this.#file.readBlocks(first, count, target))
    } finally {
      this.#lane.leave()
    }
    if (count > CACHED_RECORD_BLOCKS_MAX) return bytes
    for (let i = 0, at = 0; at < bytes.length; i++, at += RUN_BLOCK_BYTES) {
      const end = Math.min(at + RUN_BLOCK_BYTES, bytes.length)
      this.#cache.insert(this.#owner, first + i, bytes, at, end)
    }
    return bytes
  }

  /** How many bytes of a block belong to the records. */
  #recordsBytesOf(block: number): number {
    return Math.min(RUN_BLOCK_BYTES, this.figures.recordsBytes - block * RUN_BLOCK_BYTES)
  }

  /** How many bytes from the start of `bytes`, which are blocks from `first` on, belong to the records. */
  #recordsIn(first: number, bytes: Uint8Array): number {
    return Math.min(bytes.length, this.figures.recordsBytes - first * RUN_BLOCK_BYTES)
  }
}
