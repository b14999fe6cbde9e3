// Writes a run: records as they come, then their hashes (or, of a sorted run, what its writer gives instead), the
// checksums, directory and trailer, under a temporary name; the run appears under its own name at the end, whole
// and durable, or not at all.
//
// Cost per record: one copy, its part of a block's checksum, 12 bytes kept until the end. In bulk (an append
// of a buffer or more) there is no copy. Besides 12 bytes a record and 4 bytes a block, one buffer.

import { dirname } from "node:path"
import { crc32 } from "node:zlib"
import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import type { File, FileSystem } from "../io/file-system.ts"
import { TEMPORARY_SUFFIX } from "../io/publish-file.ts"
import type { RunFigures } from "./run.ts"
import {
  CHECKSUM_BYTES,
  encodeRunTail,
  HASH_ENTRY_BYTES,
  RUN_BLOCK_BYTES,
  RUN_RECORDS_BYTES_MAX,
  type RunLayout,
  type RunSection,
  runTailBytes,
} from "./run-format.ts"

/** Bytes collected before they are written. */
const BUFFER_BYTES = 1024 * 1024
/** Hash entries, and checksums, a page of what is kept until the end. */
const PAGE_ENTRIES = 4096
const TOMBSTONE_BIT = 0x8000
const U32_SPAN = 2 ** 32

/** What the writer cannot know by itself. */
export interface RunOrigin {
  /** 32 hex digits, new for each run. */
  readonly id: string
  readonly level: number
  readonly run: number
  readonly version: number
  /** Seed of the hashes that `entry` is given. */
  readonly hashSeed: number
}

/** What a sorted run has in place of hashes; see sorted-run-writer.ts. */
export interface SortedParts {
  readonly recordCount: number
  readonly tombstoneCount: number
  readonly fences: Iterable<Uint8Array>
  readonly filter: Iterable<Uint8Array>
}

/** One run in the making. After any error: `abandon`. */
export class RunWriter {
  readonly #fileSystem: FileSystem
  readonly #path: string
  readonly #origin: RunOrigin
  readonly #file: File
  #isOpen = true

  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  #bufferBytes = 0
  /** Bytes written to the file; the buffer follows them. */
  #written = 0
  #recordsBytes = 0

  #blockCrc = 0
  #blockBytes = 0
  readonly #checksums = new PagedBytes(CHECKSUM_BYTES)
  readonly #hashes = new PagedBytes(HASH_ENTRY_BYTES)
  #lastOffset = -1
  #tombstoneCount = 0

  private constructor(fileSystem: FileSystem, path: string, origin: RunOrigin, file: File) {
    this.#fileSystem = fileSystem
    this.#path = path
    this.#origin = origin
    this.#file = file
  }

  /**
   * Creates a temporary file beside `path`, in place of one that a crash has left. Nothing is there under `path`
   * before `finish` resolves. @throws EngineError `STORAGE_FULL`, `STORAGE_FAILED`, as all methods
   */
  static async create(fileSystem: FileSystem, path: string, origin: RunOrigin): Promise<RunWriter> {
    const temporary = path + TEMPORARY_SUFFIX
    await fileSystem.remove(temporary)
    return new RunWriter(fileSystem, path, origin, await fileSystem.open(temporary, "create"))
  }

  /**
   * Opens the temporary file beside `path` that somebody else has written records to, from its first byte on. They
   * are the run's once `adopt` was told of them.
   */
  static async edit(fileSystem: FileSystem, path: string, origin: RunOrigin): Promise<RunWriter> {
    const file = await fileSystem.open(path + TEMPORARY_SUFFIX, "edit")
    if (file === undefined) throw new EngineError("STORAGE_FAILED", `${path}${TEMPORARY_SUFFIX} is gone`)
    return new RunWriter(fileSystem, path, origin, file)
  }

  /** Bytes of records appended so far: the offset of the next one in the run. */
  get recordsBytes(): number {
    return this.#recordsBytes
  }

  /**
   * Appends bytes of records; zero padding between records is allowed, and records may lie across calls.
   * Undefined when they were buffered, else a promise: until it resolves the caller leaves `bytes` alone and
   * calls nothing else.
   */
  append(bytes: Uint8Array): Promise<void> | undefined {
    assert(this.#recordsBytes + bytes.length <= RUN_RECORDS_BYTES_MAX, "the records of a run fit its offsets")
    this.#recordsBytes += bytes.length
    return this.#put(bytes)
  }

  /**
   * Fills `target` from the records in the file that were not adopted yet, and adopts them: they are covered by
   * checksums, and not written again. Before any `append`.
   * @throws EngineError `DATA_LOSS` when the file ends first
   */
  async adopt(target: Uint8Array): Promise<void> {
    assert(this.#bufferBytes === 0, "records are adopted before others are appended")
    const read = await this.#file.read(target, this.#written)
    if (read < target.length) {
      const path = this.#path + TEMPORARY_SUFFIX
      throw new EngineError(
        "DATA_LOSS",
        `${path} ends at byte ${this.#written + read}, in the middle of records`,
      )
    }
    this.#cover(target)
    this.#recordsBytes += target.length
    this.#written += target.length
  }

  /**
   * Lists the record that starts at `offset` of the run, in ascending order of offsets. Records that are
   * appended but never listed are dead: no read by hash, scan or merge meets them.
   */
  entry(h1: number, h2: number, offset: number, isTombstone: boolean): void {
    assert(offset > this.#lastOffset, "entries come in the order of their records")
    this.#lastOffset = offset
    const at = this.#hashes.next()
    const view = this.#hashes.view
    const offsetHigh = Math.floor(offset / U32_SPAN)
    view.setUint32(at, h1, true)
    view.setUint16(at + 4, h2, true)
    view.setUint32(at + 6, offset % U32_SPAN, true)
    view.setUint16(at + 10, isTombstone ? offsetHigh | TOMBSTONE_BIT : offsetHigh, true)
    if (isTombstone) this.#tombstoneCount++
  }

  /** Writes what is left, syncs and publishes the run under `path`: it is durable when this resolves. */
  async finish(): Promise<RunFigures> {
    assert(this.#lastOffset < this.#recordsBytes, "every entry has its record")
    const hashes = await this.#putSection(this.#recordsBytes, this.#hashes.pages())
    return this.#publish({ hashes }, this.#hashes.count, this.#tombstoneCount)
  }

  /** The same for a run whose records came in the order of their keys; none was given to `entry`. */
  async finishSorted({ recordCount, tombstoneCount, ...parts }: SortedParts): Promise<RunFigures> {
    assert(this.#hashes.count === 0, "a sorted run has no hashes")
    const fences = await this.#putSection(this.#recordsBytes, parts.fences)
    const filter = await this.#putSection(fences.offset + fences.bytes, parts.filter)
    return this.#publish({ fences, filter }, recordCount, tombstoneCount)
  }

  async #publish(
    index: RunLayout["index"],
    recordCount: number,
    tombstoneCount: number,
  ): Promise<RunFigures> {
    if (this.#blockBytes > 0) this.#endBlock()
    let crc = 0
    for (const page of this.#checksums.pages()) {
      crc = crc32(page, crc)
      await this.#write(page)
    }
    const last = "hashes" in index ? index.hashes : index.filter
    const checksums = { offset: last.offset + last.bytes, bytes: this.#checksums.bytes, crc }
    const { id, level, run, version, hashSeed } = this.#origin
    const figures: RunFigures = {
      id,
      level,
      run,
      version,
      bytes: checksums.offset + checksums.bytes + runTailBytes(index),
      recordsBytes: this.#recordsBytes,
      recordCount,
      tombstoneCount,
    }
    await this.#write(encodeRunTail({ figures, hashSeed, index, checksums }))
    await this.#flush()
    await this.#file.sync()
    this.#isOpen = false
    await this.#file.close()
    await this.#fileSystem.rename(this.#path + TEMPORARY_SUFFIX, this.#path)
    await this.#fileSystem.syncDirectory(dirname(this.#path))
    return figures
  }

  async #putSection(offset: number, pages: Iterable<Uint8Array>): Promise<RunSection> {
    let bytes = 0
    let crc = 0
    for (const page of pages) {
      crc = crc32(page, crc)
      bytes += page.length
      const pending = this.#put(page)
      if (pending !== undefined) await pending
    }
    return { offset, bytes, crc }
  }

  /** Removes the temporary file, after an error or a change of mind. */
  async abandon(): Promise<void> {
    if (this.#isOpen) {
      this.#isOpen = false
      await this.#file.close()
    }
    await this.#fileSystem.remove(this.#path + TEMPORARY_SUFFIX)
  }

  /** Writes bytes that block checksums cover. */
  #put(bytes: Uint8Array): Promise<void> | undefined {
    this.#cover(bytes)
    return this.#write(bytes)
  }

  #cover(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      const end = Math.min(bytes.length, at + RUN_BLOCK_BYTES - this.#blockBytes)
      this.#blockCrc = crc32(bytes.subarray(at, end), this.#blockCrc)
      this.#blockBytes += end - at
      if (this.#blockBytes === RUN_BLOCK_BYTES) this.#endBlock()
      at = end
    }
  }

  #endBlock(): void {
    const at = this.#checksums.next()
    this.#checksums.view.setUint32(at, this.#blockCrc, true)
    this.#blockCrc = 0
    this.#blockBytes = 0
  }

  #write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#bufferBytes + bytes.length > BUFFER_BYTES) return this.#writeThrough(bytes)
    this.#buffer.set(bytes, this.#bufferBytes)
    this.#bufferBytes += bytes.length
    return undefined
  }

  async #writeThrough(bytes: Uint8Array): Promise<void> {
    await this.#flush()
    if (bytes.length < BUFFER_BYTES) {
      this.#buffer.set(bytes, 0)
      this.#bufferBytes = bytes.length
      return
    }
    await this.#file.write(bytes, this.#written)
    this.#written += bytes.length
  }

  async #flush(): Promise<void> {
    if (this.#bufferBytes === 0) return
    await this.#file.write(this.#buffer.subarray(0, this.#bufferBytes), this.#written)
    this.#written += this.#bufferBytes
    this.#bufferBytes = 0
  }
}

/** Entries of a fixed length, in pages, so that nothing is copied while their number grows. */
export class PagedBytes {
  readonly #entryBytes: number
  readonly #pages: Uint8Array[] = []
  #used = PAGE_ENTRIES
  /** Of the page that `next` gave room in. */
  view = new DataView(new ArrayBuffer(0))

  constructor(entryBytes: number) {
    this.#entryBytes = entryBytes
  }

  get count(): number {
    return this.#pages.length === 0 ? 0 : (this.#pages.length - 1) * PAGE_ENTRIES + this.#used
  }

  get bytes(): number {
    return this.count * this.#entryBytes
  }

  /** Where the next entry is to be written in `view`. */
  next(): number {
    if (this.#used === PAGE_ENTRIES) {
      const page = new Uint8Array(PAGE_ENTRIES * this.#entryBytes)
      this.#pages.push(page)
      this.view = new DataView(page.buffer)
      this.#used = 0
    }
    return this.#used++ * this.#entryBytes
  }

  *pages(): Generator<Uint8Array> {
    for (const [i, page] of this.#pages.entries()) {
      yield i < this.#pages.length - 1 ? page : page.subarray(0, this.#used * this.#entryBytes)
    }
  }
}
