// A run file that is open for reading. Every byte that leaves here was checked: directory and trailer when the
// file is opened, blocks against their checksums whenever they are read. Sequential reading goes through one
// window of bounded size; a record that is longer than the window gets a window of its own length.

import { crc32 } from "node:zlib"
import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import { decodeRecord, peekRecordBytes, RECORD_HEADER_BYTES_MAX, RecordCursor } from "../base/record.ts"
import type { FileSystem, ReadableFile } from "../io/file-system.ts"
import { HASH_PAGE_ENTRIES, HashPage } from "./hash-page.ts"
import type { RunFigures } from "./run.ts"
import {
  blockCount,
  CHECKSUM_BYTES,
  decodeRunTail,
  HASH_ENTRY_BYTES,
  RUN_BLOCK_BYTES,
  RUN_TAIL_BYTES_MAX,
  type RunLayout,
  type RunSection,
  runDamage,
} from "./run-format.ts"
import { readSortedIndex, type SortedIndex } from "./sorted-index.ts"

/** Bytes read at a time by `scan`. */
const WINDOW_BYTES = 1024 * 1024
/** Bytes of a section read at a time by `section`: decoding them holds a thread for about a millisecond. */
const SECTION_READ_BYTES = 128 * 1024
/** Bytes of checksums read at a time; they are kept while the run is open: 1 byte a KiB of the run. */
const CHECKSUM_READ_BYTES = 1024 * 1024
const TOMBSTONE_BIT = 0x8000
const U32_SPAN = 2 ** 32

/**
 * Whole records of a run, in file order: record `i` of `hashes`, `i` in `[from, to)`, starts at
 * `bytes[hashes.offset[i] - bytesOffset]`. Valid until the next page is asked for; nobody changes it.
 */
export interface RunPage {
  readonly bytes: Uint8Array
  readonly bytesOffset: number
  readonly hashes: HashPage
  readonly from: number
  readonly to: number
}

/** All reads reject with EngineError `DATA_LOSS` or `STORAGE_FAILED`. One owner, who closes it. */
export class RunFile {
  readonly path: string
  readonly figures: RunFigures
  readonly hashSeed: number
  readonly #file: ReadableFile
  readonly #layout: RunLayout
  /** One crc32 a block. */
  readonly #checksums: Uint32Array
  readonly #blocksEnd: number
  #sortedIndex: SortedIndex | undefined

  private constructor(path: string, file: ReadableFile, layout: RunLayout, checksums: Uint32Array) {
    this.path = path
    this.figures = layout.figures
    this.hashSeed = layout.hashSeed
    this.#file = file
    this.#layout = layout
    this.#checksums = checksums
    this.#blocksEnd = layout.checksums.offset
  }

  /** @throws (rejects) EngineError `DATA_LOSS` (also when the file is missing), `FORMAT_NEWER`, `STORAGE_FAILED` */
  static async open(fileSystem: FileSystem, path: string): Promise<RunFile> {
    const file = await fileSystem.open(path, "read")
    if (file === undefined) throw new EngineError("DATA_LOSS", `run ${path} is missing`)
    return RunFile.over(file, path)
  }

  /**
   * The run in `file`, wherever its bytes are; `path` names it in messages. Takes the file over, also when it fails.
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, and what reading `file` rejects with
   */
  static async over(file: ReadableFile, path: string): Promise<RunFile> {
    try {
      const layout = await readLayout(file, path)
      return new RunFile(path, file, layout, await readChecksums(file, path, layout))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Sections and their places. */
  get layout(): RunLayout {
    return this.#layout
  }

  /** Filter and fences of a sorted run, once `readIndex` has resolved; undefined for others. */
  get sortedIndex(): SortedIndex | undefined {
    return this.#sortedIndex
  }

  /** Reads what finds single keys, for who asks for them: scans and merges do without. */
  async readIndex(): Promise<void> {
    this.#sortedIndex = await readSortedIndex(this)
  }

  /** Where the blocks end: behind them lie their checksums, directory and trailer, which `open` has checked. */
  get blocksEnd(): number {
    return this.#blocksEnd
  }

  /** Figures of the run at `path` from its tail alone, as `open` would find them. */
  static async readFigures(fileSystem: FileSystem, path: string): Promise<RunFigures> {
    const file = await fileSystem.open(path, "read")
    if (file === undefined) throw new EngineError("DATA_LOSS", `run ${path} is missing`)
    try {
      return (await readLayout(file, path)).figures
    } finally {
      await file.close()
    }
  }

  /**
   * Reads blocks `[first, first + count)` from the start of `target` and checks them. Both exist.
   * @returns the bytes read: whole blocks, except that the last block of the covered part may be shorter.
   */
  async readBlocks(first: number, count: number, target: Uint8Array): Promise<number> {
    const start = first * RUN_BLOCK_BYTES
    const end = Math.min(start + count * RUN_BLOCK_BYTES, this.#blocksEnd)
    assert(count > 0 && first + count <= this.#checksums.length, "the blocks exist")
    assert(end - start <= target.length, "the blocks fit the target")
    // A view is an object: a block that fills its buffer needs none.
    const whole = end - start === target.length ? target : target.subarray(0, end - start)
    const read = await this.#file.read(whole, start)
    if (read !== end - start) throw runDamage(this.path, `it ends in the middle of block ${first}`)
    for (let block = first, at = 0; block < first + count; block++, at += RUN_BLOCK_BYTES) {
      const bytes = count === 1 ? whole : whole.subarray(at, at + RUN_BLOCK_BYTES)
      if (crc32(bytes) !== this.#checksums[block]!) {
        throw runDamage(this.path, `bad checksum of block ${block}, at byte ${block * RUN_BLOCK_BYTES}`)
      }
    }
    return read
  }

  /** How many bytes the record has that starts at `offset`, from the first bytes of it. */
  checkedRecordBytes(source: Uint8Array, sourceOffset: number, offset: number): number {
    const bytes = peekRecordBytes(source, sourceOffset, source.length)
    if (bytes < 0 || offset + bytes > this.figures.recordsBytes) {
      throw runDamage(this.path, `no record at byte ${offset}`)
    }
    return bytes
  }

  /** The bytes of a section, in pieces. A piece is valid until the next one is asked for. */
  async *section({ offset, bytes, crc }: RunSection): AsyncGenerator<Uint8Array, void, undefined> {
    const buffer = new Uint8Array(
      Math.min(SECTION_READ_BYTES, blockCount(bytes) * RUN_BLOCK_BYTES) + 2 * RUN_BLOCK_BYTES,
    )
    let sectionCrc = 0
    for (let at = offset; at < offset + bytes; ) {
      const first = Math.floor(at / RUN_BLOCK_BYTES)
      const end = Math.min(at + SECTION_READ_BYTES, offset + bytes)
      await this.readBlocks(first, blockCount(end) - first, buffer)
      const piece = buffer.subarray(at - first * RUN_BLOCK_BYTES, end - first * RUN_BLOCK_BYTES)
      sectionCrc = crc32(piece, sectionCrc)
      if (end === offset + bytes && sectionCrc !== crc)
        throw runDamage(this.path, "bad checksum of a section")
      yield piece
      at = end
    }
  }

  /** The hash section, in pages, in record order. A page is valid until the next one is asked for. */
  async *hashes(): AsyncGenerator<HashPage, void, undefined> {
    const { index } = this.#layout
    if (!("hashes" in index)) throw runDamage(this.path, "it is sorted by key and has no hashes")
    const { offset: start, bytes: sectionBytes, crc } = index.hashes
    const page = new HashPage()
    const pageBytes = HASH_PAGE_ENTRIES * HASH_ENTRY_BYTES
    const buffer = new Uint8Array((blockCount(pageBytes) + 1) * RUN_BLOCK_BYTES)
    let sectionCrc = 0
    let offsetBefore = -1
    let tombstones = 0
    for (let at = 0; at < sectionBytes; at += pageBytes) {
      const bytes = Math.min(pageBytes, sectionBytes - at)
      const first = Math.floor((start + at) / RUN_BLOCK_BYTES)
      await this.readBlocks(first, blockCount(start + at + bytes) - first, buffer)
      const skip = start + at - first * RUN_BLOCK_BYTES
      sectionCrc = crc32(buffer.subarray(skip, skip + bytes), sectionCrc)
      page.first = at / HASH_ENTRY_BYTES
      page.count = bytes / HASH_ENTRY_BYTES
      decodeHashes(new DataView(buffer.buffer, skip, bytes), page)
      for (let i = 0; i < page.count; i++) {
        if (page.offset[i]! <= offsetBefore || page.offset[i]! >= this.figures.recordsBytes) {
          throw runDamage(this.path, `bad offset in hash entry ${page.first + i}`)
        }
        offsetBefore = page.offset[i]!
        tombstones += page.tombstone[i]!
      }
      // Before the last entries are used, as with every check.
      if (at + bytes === sectionBytes) {
        if (sectionCrc !== crc) throw runDamage(this.path, "bad checksum of the hashes")
        if (tombstones !== this.figures.tombstoneCount) throw runDamage(this.path, "bad tombstone count")
      }
      yield page
    }
  }

  /** The records part as it lies in the file, padding and dead records included. Valid until the next piece. */
  async *records(): AsyncGenerator<Uint8Array, void, undefined> {
    const recordsEnd = this.figures.recordsBytes
    const window = new Uint8Array(WINDOW_BYTES)
    for (let at = 0; at < recordsEnd; at += WINDOW_BYTES) {
      const first = at / RUN_BLOCK_BYTES
      const count = Math.min(WINDOW_BYTES / RUN_BLOCK_BYTES, blockCount(recordsEnd) - first)
      const read = await this.readBlocks(first, count, window)
      yield window.subarray(0, Math.min(read, recordsEnd - at))
    }
  }

  /** All listed records, in file order. A page is valid until the next one is asked for. */
  async *scan(): AsyncGenerator<RunPage, void, undefined> {
    const recordsEnd = this.figures.recordsBytes
    let window = new Uint8Array(Math.min(WINDOW_BYTES, blockCount(this.#blocksEnd) * RUN_BLOCK_BYTES))
    let bytes = window.subarray(0, 0)
    let bytesOffset = 0
    const fill = async (offset: number, length: number): Promise<void> => {
      const first = Math.floor(offset / RUN_BLOCK_BYTES)
      bytesOffset = first * RUN_BLOCK_BYTES
      const needed = blockCount(offset + length - bytesOffset) * RUN_BLOCK_BYTES
      if (needed > window.length) window = new Uint8Array(needed)
      else if (window.length > WINDOW_BYTES && needed <= WINDOW_BYTES) window = new Uint8Array(WINDOW_BYTES)
      const count = Math.min(window.length / RUN_BLOCK_BYTES, blockCount(recordsEnd) - first)
      const read = await this.readBlocks(first, count, window)
      bytes = window.subarray(0, Math.min(read, recordsEnd - bytesOffset))
    }
    const cursor = new RecordCursor()
    let recordEnd = 0
    for await (const hashes of this.hashes()) {
      let from = 0
      for (let i = 0; i < hashes.count; i++) {
        const offset = hashes.offset[i]!
        if (offset < recordEnd) throw runDamage(this.path, `the record at byte ${offset} lies in another`)
        const isInWindow =
          offset >= bytesOffset && decodeRecord(bytes, offset - bytesOffset, bytes.length, cursor)
        if (!isInWindow) {
          if (i > from) yield { bytes, bytesOffset, hashes, from, to: i }
          from = i
          await fill(offset, Math.min(RECORD_HEADER_BYTES_MAX, recordsEnd - offset))
          const recordBytes = this.checkedRecordBytes(bytes, offset - bytesOffset, offset)
          if (offset + recordBytes > bytesOffset + bytes.length) await fill(offset, recordBytes)
          if (!decodeRecord(bytes, offset - bytesOffset, bytes.length, cursor)) {
            throw runDamage(this.path, `no record at byte ${offset}`)
          }
        }
        if (cursor.isTombstone !== (hashes.tombstone[i] === 1)) {
          throw runDamage(this.path, `bad tombstone mark in hash entry ${hashes.first + i}`)
        }
        recordEnd = bytesOffset + cursor.end
      }
      if (hashes.count > from) yield { bytes, bytesOffset, hashes, from, to: hashes.count }
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

async function readLayout(file: ReadableFile, path: string): Promise<RunLayout> {
  const fileBytes = await file.size()
  const tail = new Uint8Array(Math.min(RUN_TAIL_BYTES_MAX, fileBytes))
  const read = await file.read(tail, fileBytes - tail.length)
  if (read !== tail.length) throw runDamage(path, "it ends before its tail")
  return decodeRunTail(tail, fileBytes, path)
}

async function readChecksums(file: ReadableFile, path: string, layout: RunLayout): Promise<Uint32Array> {
  const { offset, bytes, crc } = layout.checksums
  const checksums = new Uint32Array(bytes / CHECKSUM_BYTES)
  const buffer = new Uint8Array(Math.min(bytes, CHECKSUM_READ_BYTES))
  let sectionCrc = 0
  for (let at = 0; at < bytes; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, bytes - at))
    const read = await file.read(part, offset + at)
    if (read !== part.length) throw runDamage(path, "it ends in the middle of the checksums")
    sectionCrc = crc32(part, sectionCrc)
    const view = new DataView(part.buffer, part.byteOffset, part.length)
    for (let i = 0; i < part.length; i += CHECKSUM_BYTES) {
      checksums[(at + i) / CHECKSUM_BYTES] = view.getUint32(i, true)
    }
  }
  if (sectionCrc !== crc) throw runDamage(path, "bad checksum of the checksums")
  return checksums
}

function decodeHashes(view: DataView, page: HashPage): void {
  for (let i = 0, at = 0; i < page.count; i++, at += HASH_ENTRY_BYTES) {
    const high = view.getUint16(at + 10, true)
    page.h1[i] = view.getUint32(at, true)
    page.h2[i] = view.getUint16(at + 4, true)
    page.offset[i] = view.getUint32(at + 6, true) + (high & ~TOMBSTONE_BIT) * U32_SPAN
    page.tombstone[i] = high >>> 15
  }
}
