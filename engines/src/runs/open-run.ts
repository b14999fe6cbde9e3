// A run file that is open in this process, shared by all who read it. Whoever needs it holds it; without holders
// it is closed, and its directory decides whether the file goes too.
//
// Point reads go through a cache of blocks: `cachedRecord` and `cachedBlock` answer at once when all is there, `read`
// and `block` ask the disk and fill the cache. What reads whole runs (scans, merges) passes it by, so that it does not
// push out what is read again and again.

import { assert } from "../base/assert.ts"
import { copyBytes, copyRange } from "../base/bytes.ts"
import { decodeRecord, peekRecordBytes, RECORD_HEADER_BYTES_MAX, RecordCursor } from "../base/record.ts"
import type { Arrival } from "./arrival.ts"
import { BlockCache } from "./block-cache.ts"
import type { BlockDirectory } from "./block-directory.ts"
import { BlockLook, BlockReads } from "./block-reads.ts"
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

/** A record as it lies in `bytes`. */
export interface RunRecord {
  readonly bytes: Buffer
  /** Offsets into `bytes`. */
  readonly cursor: RecordCursor
}

/** Looks at the record that `cursor` shows in `bytes`. */
export type RecordLook<Result> = (bytes: Buffer, cursor: RecordCursor) => Result | Promise<Result>

/**
 * All reads reject with EngineError `DATA_LOSS` or `STORAGE_FAILED`, of a run that is not local also with
 * `REPOSITORY_FAILED`, and keep the run open until they are done.
 */
export class OpenRun {
  readonly #file: RunFile
  readonly #onUnheld: (run: OpenRun) => void
  readonly #cache: BlockCache
  readonly #lane: ReadLane
  readonly #owner: number
  readonly #arrival: Arrival | undefined
  #holds = 1
  readonly #reads: BlockReads

  /**
   * The caller is the first holder.
   * @param onUnheld called once, when the last hold is given up; closes `file`
   * @param cache by default nothing is kept
   * @param lane of the partition
   * @param arrival of a run whose file is not whole here
   */
  constructor(
    file: RunFile,
    onUnheld: (run: OpenRun) => void,
    cache: BlockCache = new BlockCache(0),
    lane: ReadLane = new ReadLane(),
    arrival?: Arrival,
  ) {
    this.#file = file
    this.#arrival = arrival
    this.#lane = lane
    this.#onUnheld = onUnheld
    this.#cache = cache
    this.#owner = cache.newOwner()
    this.#reads = new BlockReads({
      file,
      cache,
      owner: this.#owner,
      lane,
      retain: () => this.retain(),
      release: () => this.release(),
    })
  }

  get figures(): RunFigures {
    return this.#file.figures
  }

  /** Filter and fences of a sorted run; undefined for others. */
  get sortedIndex(): SortedIndex | undefined {
    return this.#file.sortedIndex
  }

  /** Absolute. Nothing is there as long as the run is not local. */
  get path(): string {
    return this.#file.path
  }

  /** Whether all of it is on this disk, for who reads the file itself. Reads need not ask. */
  get isLocal(): boolean {
    return this.#arrival === undefined || this.#arrival.isWhole
  }

  /** Resolves when the run is local; never when it is closed before. */
  async local(): Promise<void> {
    await this.#arrival?.whole()
  }

  /**
   * Resolves when the run is local.
   * @throws (rejects) EngineError `DATA_LOSS`, `REPOSITORY_FAILED`, `STORAGE_FULL`, `STORAGE_FAILED`, `ENGINE_CLOSED`
   */
  async becomeLocal(): Promise<void> {
    await this.#arrival?.complete()
  }

  /** How much of the file is on this disk. */
  get bytesLocal(): number {
    return this.#arrival?.bytesLocal ?? this.figures.bytes
  }

  /** How much of the file cannot be had: it is damaged where it comes from. */
  get bytesDamaged(): number {
    return this.#arrival?.bytesDamaged ?? 0
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

  /** Whether the cache has a block; no read, and not counted as one. */
  isCached(block: number): boolean {
    return this.#cache.peek(this.#owner, block) >= 0
  }

  /** How many blocks the cache can take without giving up others. */
  get spareBlocks(): number {
    return this.#cache.spareBlocks
  }

  /** Gives the cache a block that `readBlocks` has read to `source[start, end)`. */
  keepBlock(block: number, source: Uint8Array, start: number, end: number): void {
    this.#cache.insert(this.#owner, block, source, start, end)
  }

  /** Has the cache give up the blocks of this run, which is not read any more; in steps, see `BlockCache.forget`. */
  forgetBlocks(from: number): number {
    return this.#cache.forget(this.#owner, from)
  }

  /** What is known of the records in cached blocks. */
  get cachedDirectory(): BlockDirectory {
    return this.#cache.directory
  }

  /** Where cached blocks lie. */
  get cachedBytes(): Buffer {
    return this.#cache.bytes
  }

  /**
   * A copy of the checked bytes of a block that exists. Readers of one block share one read of the disk; the cache has
   * it afterwards.
   */
  block(block: number): Promise<Uint8Array> {
    return this.withBlock(block, copyBlock)
  }

  /**
   * What `look` makes of the checked bytes of a block that exists, when they are here. They are valid while `look` runs:
   * it copies what it keeps. It is called at once when the cache has the block. What it throws rejects the promise.
   */
  withBlock<Result>(block: number, look: (bytes: Buffer) => Result | Promise<Result>): Promise<Result> {
    const start = this.#cache.peek(this.#owner, block)
    if (start >= 0) {
      const bytes = Math.min(RUN_BLOCK_BYTES, this.#file.blocksEnd - block * RUN_BLOCK_BYTES)
      try {
        return Promise.resolve(look(this.#cache.bytes.subarray(start, start + bytes)))
      } catch (error) {
        return Promise.reject(error)
      }
    }
    return new Promise((resolve, reject) => this.#reads.wait(block, new BlockLook(look, resolve, reject)))
  }

  /** A copy of the record that starts at `offset`. One read of one block, nearly always; none when the cache has it. */
  read(offset: number): Promise<RunRecord> {
    return this.withRecord(offset, copyRecord)
  }

  /**
   * What `look` makes of the record that starts at `offset`, when it is here: the bytes in which the cursor shows it
   * are valid while `look` runs, which copies what it keeps. One read of one block, nearly always. What `look` throws
   * rejects the promise.
   */
  withRecord<Result>(offset: number, look: RecordLook<Result>): Promise<Result> {
    if (offset >= this.figures.recordsBytes) {
      return Promise.reject(runDamage(this.path, `it has no byte ${offset}`))
    }
    const first = Math.floor(offset / RUN_BLOCK_BYTES)
    const at = offset - first * RUN_BLOCK_BYTES
    const cursor = new RecordCursor()
    return this.withBlock(first, (block) => {
      if (decodeRecord(block, at, this.#recordsIn(first, block), cursor)) return look(block, cursor)
      return this.#withLongRecord(offset, copyBlock(block), cursor, look)
    })
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

  /** As `withRecord`, of a record that the block it starts in, a copy of which is given, does not hold whole. */
  async #withLongRecord<Result>(
    offset: number,
    block: Uint8Array,
    cursor: RecordCursor,
    look: RecordLook<Result>,
  ): Promise<Result> {
    this.retain()
    try {
      const first = Math.floor(offset / RUN_BLOCK_BYTES)
      const at = offset - first * RUN_BLOCK_BYTES
      const bytes = await this.#longRecord(first, at, block)
      if (!decodeRecord(bytes, at, bytes.length, cursor))
        throw runDamage(this.path, `no record at byte ${offset}`)
      return look(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), cursor)
    } finally {
      this.release()
    }
  }

  /** The blocks from `first` on that hold the record at `at` of the first, without what follows the records. */
  async #longRecord(first: number, at: number, firstBlock: Uint8Array): Promise<Uint8Array> {
    const offset = first * RUN_BLOCK_BYTES + at
    let bytes = firstBlock
    // The lengths themselves may go on in the next block.
    const lengthsEnd = Math.min(offset + RECORD_HEADER_BYTES_MAX, this.figures.recordsBytes)
    if (lengthsEnd > (first + 1) * RUN_BLOCK_BYTES) {
      bytes = Buffer.concat([bytes, await this.block(first + 1)])
    }
    const recordBytes = this.#file.checkedRecordBytes(bytes, at, offset)
    const have = blockCount(bytes.length)
    const missing = blockCount(at + recordBytes) - have
    if (missing === 1) bytes = Buffer.concat([bytes, await this.block(first + have)])
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

function copyBlock(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes)
}

function copyRecord(bytes: Buffer, { start, end }: RecordCursor): RunRecord {
  const record = copyBytes(bytes, start, end)
  const cursor = new RecordCursor()
  decodeRecord(record, 0, record.length, cursor)
  return { bytes: record, cursor }
}
