// Writes a sorted run: records in the order of their keys, each key once.
//
//   4096 │ r r r r r r │ r r r r│r │ r r r r …      data blocks; a fence for each; one crosses the border
//
// A data block ends after `densityFactor` records, or before a record that would cross a border of the run's blocks:
// that one has a data block of its own, so that all other look-ups read one block. Nothing is padded, so where the
// records lie follows from the records alone: data that stays the same is cut into the same chunks wherever it lies.
// With padding up to the borders a few new keys would make nearly all bytes of a long run new to a repository.
//
// Cost per record: one copy into the staging buffer, 8 bytes kept until the end for the filter, no allocation.

import { assert } from "../base/assert.ts"
import { compareRanges, copyWords } from "../base/bytes.ts"
import { KeyHasher } from "../base/key-hash.ts"
import { KEY_BYTES_MAX, type RecordCursor } from "../base/record.ts"
import type { FileSystem } from "../io/file-system.ts"
import { BloomFilter } from "./bloom-filter.ts"
import { commonBytes } from "./fences.ts"
import type { RunFigures } from "./run.ts"
import { FENCE_HEADER_BYTES, RUN_BLOCK_BYTES } from "./run-format.ts"
import { PagedBytes, type RunOrigin, RunWriter } from "./run-writer.ts"

/** Bytes collected before they are given on: as many as the writer writes without another copy. */
const STAGING_BYTES = 1024 * 1024
const FENCES_PAGE_BYTES = 256 * 1024
/** Longer records are copied natively, which has a fixed cost of its own. */
const WORD_COPY_BYTES_MAX = 256
const HASH_BYTES = 8
const U32_SPAN = 2 ** 32

/** How a run is laid out and filtered. */
export interface SortedRunShape {
  /** Records of a data block at most; at least 1. */
  readonly densityFactor: number
  /** Above 0 and below 1. */
  readonly bloomFalsePositiveRate: number
}

/** Where records lie; the view covers the same bytes. */
export interface RecordSource {
  readonly bytes: Buffer
  readonly view: DataView
}

/** One sorted run in the making. After any error: `abandon`. */
export class SortedRunWriter {
  readonly #writer: RunWriter
  readonly #shape: SortedRunShape
  readonly #hasher: KeyHasher
  readonly #hashes = new PagedBytes(HASH_BYTES)
  readonly #fences: Uint8Array[] = []
  #fencePage = Buffer.alloc(0)
  #fencePageBytes = 0
  #staging = Buffer.allocUnsafeSlow(STAGING_BYTES)
  #stagingView = viewOf(this.#staging)
  #staged = 0
  /** The last key, in `#staging` or in a copy of its own. */
  #lastSource: Buffer = this.#staging
  #lastStart = 0
  #lastEnd = 0
  readonly #lastCopy = Buffer.allocUnsafeSlow(KEY_BYTES_MAX)
  /** Records in the present data block. */
  #blockRecords = 0
  /** Whether the present data block crosses a border: it has one record. */
  #isBlockClosed = true
  #tombstoneCount = 0

  private constructor(writer: RunWriter, shape: SortedRunShape, hashSeed: number) {
    this.#writer = writer
    this.#shape = shape
    this.#hasher = new KeyHasher(hashSeed)
  }

  /** As `RunWriter.create`. */
  static async create(
    fileSystem: FileSystem,
    path: string,
    origin: RunOrigin,
    shape: SortedRunShape,
  ): Promise<SortedRunWriter> {
    return new SortedRunWriter(await RunWriter.create(fileSystem, path, origin), shape, origin.hashSeed)
  }

  get recordCount(): number {
    return this.#hashes.count
  }

  /**
   * Copies the record under `cursor` in `source`, whose key is above all before. Undefined, or a promise: until it
   * resolves the caller calls nothing else.
   */
  add(source: RecordSource, cursor: RecordCursor): Promise<void> | undefined {
    const bytes = cursor.end - cursor.start
    if (this.#staged + bytes > this.#staging.length) return this.#addLater(source, cursor)
    this.#add(source, cursor, bytes)
    return undefined
  }

  async #addLater(source: RecordSource, cursor: RecordCursor): Promise<void> {
    await this.#flush()
    const bytes = cursor.end - cursor.start
    if (bytes > this.#staging.length) {
      this.#stage(bytes)
    } else if (this.#staging.length > STAGING_BYTES && bytes <= STAGING_BYTES) {
      this.#stage(STAGING_BYTES)
    }
    this.#add(source, cursor, bytes)
  }

  #stage(bytes: number): void {
    this.#staging = Buffer.allocUnsafeSlow(bytes)
    this.#stagingView = viewOf(this.#staging)
  }

  #add({ bytes: source, view }: RecordSource, cursor: RecordCursor, bytes: number): void {
    const { keyStart, keyEnd } = cursor
    const offset = this.#writer.recordsBytes + this.#staged
    const crosses = (offset % RUN_BLOCK_BYTES) + bytes > RUN_BLOCK_BYTES
    const isNewBlock = this.#isBlockClosed || crosses || this.#blockRecords >= this.#shape.densityFactor
    if (isNewBlock || offset % RUN_BLOCK_BYTES === 0) {
      this.#fence(offset, source, keyStart, keyEnd)
      this.#blockRecords = 0
    } else {
      assert(
        compareRanges(this.#lastSource, this.#lastStart, this.#lastEnd, source, keyStart, keyEnd) < 0,
        "records come in the order of their keys",
      )
    }
    this.#isBlockClosed = crosses
    this.#blockRecords++
    if (bytes > WORD_COPY_BYTES_MAX) source.copy(this.#staging, this.#staged, cursor.start, cursor.end)
    else copyWords(this.#stagingView, this.#staged, view, cursor.start, cursor.end)
    this.#lastSource = this.#staging
    this.#lastStart = this.#staged + (keyStart - cursor.start)
    this.#lastEnd = this.#staged + (keyEnd - cursor.start)
    this.#staged += bytes
    this.#hasher.hash(source, keyStart, keyEnd)
    const at = this.#hashes.next()
    this.#hashes.view.setUint32(at, this.#hasher.h1, true)
    this.#hashes.view.setUint32(at + 4, this.#hasher.h2, true)
    if (cursor.isTombstone) this.#tombstoneCount++
  }

  /** Writes what is left, syncs and publishes the run: it is durable when this resolves. */
  async finish(): Promise<RunFigures> {
    await this.#flush()
    const filter = BloomFilter.make(this.#hashes.count, this.#shape.bloomFalsePositiveRate)
    for (const page of this.#hashes.pages()) {
      const view = new DataView(page.buffer, page.byteOffset, page.length)
      for (let at = 0; at < page.length; at += HASH_BYTES) {
        filter.add(view.getUint32(at, true), view.getUint32(at + 4, true))
      }
    }
    if (this.#fencePageBytes > 0) this.#fences.push(this.#fencePage.subarray(0, this.#fencePageBytes))
    return this.#writer.finishSorted({
      recordCount: this.#hashes.count,
      tombstoneCount: this.#tombstoneCount,
      fences: this.#fences,
      filter: filter.encode(),
    })
  }

  /** Removes the temporary file, after an error or a change of mind. */
  abandon(): Promise<void> {
    return this.#writer.abandon()
  }

  /** A data block starts with this key: kept is what separates it from the last key. */
  #fence(offset: number, source: Buffer, keyStart: number, keyEnd: number): void {
    let length = 0
    if (this.recordCount > 0) {
      const [last, lastStart, lastEnd] = [this.#lastSource, this.#lastStart, this.#lastEnd]
      const common = Math.min(lastEnd - lastStart, keyEnd - keyStart)
      length = commonBytes(last, lastStart, source, keyStart, common) + 1
      assert(
        keyStart + length <= keyEnd &&
          (length > lastEnd - lastStart || last[lastStart + length - 1]! < source[keyStart + length - 1]!),
        "records come in the order of their keys",
      )
    }
    const bytes = FENCE_HEADER_BYTES + length
    if (this.#fencePageBytes + bytes > this.#fencePage.length) {
      if (this.#fencePageBytes > 0) this.#fences.push(this.#fencePage.subarray(0, this.#fencePageBytes))
      this.#fencePage = Buffer.alloc(Math.max(FENCES_PAGE_BYTES, bytes))
      this.#fencePageBytes = 0
    }
    const page = this.#fencePage
    const at = this.#fencePageBytes
    page.writeUInt32LE(offset % U32_SPAN, at)
    page.writeUInt16LE(Math.floor(offset / U32_SPAN), at + 4)
    page.writeUInt16LE(length, at + 6)
    source.copy(page, at + FENCE_HEADER_BYTES, keyStart, keyStart + length)
    this.#fencePageBytes += bytes
  }

  async #flush(): Promise<void> {
    if (this.#staged === 0) return
    if (this.#lastSource === this.#staging) {
      this.#lastEnd = this.#staging.copy(this.#lastCopy, 0, this.#lastStart, this.#lastEnd)
      this.#lastStart = 0
      this.#lastSource = this.#lastCopy
    }
    const pending = this.#writer.append(this.#staging.subarray(0, this.#staged))
    if (pending !== undefined) await pending
    this.#staged = 0
  }
}

/** `bytes` with a view of them. */
export function recordSource(bytes: Buffer): RecordSource {
  return { bytes, view: viewOf(bytes) }
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length)
}
