// The records of a sorted run one after the other, from any data block on, through a window of bounded size.
// Nothing is allocated per record: `cursor` moves over `bytes`, and `advance` answers without a promise while the
// window lasts.

import {
  decodeRecord,
  peekRecordBytes,
  RECORD_HEADER_BYTES_MAX,
  RecordCursor,
  skipPadding,
} from "../base/record.ts"
import type { RunFigures } from "./run.ts"
import { blockCount, RUN_BLOCK_BYTES, runDamage } from "./run-format.ts"

/** A run that is open: a `RunFile`, or an `OpenRun`. */
export interface BlockSource {
  readonly path: string
  readonly figures: RunFigures
  /** See `RunFile.readBlocks`. */
  readBlocks(first: number, count: number, target: Uint8Array): Promise<number>
}

export class RecordStream {
  /** The present record lies here; all are valid until the next `advance`. */
  readonly cursor = new RecordCursor()
  bytes: Buffer = Buffer.alloc(0)
  view = new DataView(this.bytes.buffer, 0, 0)

  readonly #source: BlockSource
  readonly #windowBlocks: number
  readonly #recordsEnd: number
  #window: Buffer
  /** Offset in the run of `bytes[0]`. */
  #bytesOffset = 0
  /** Offset in `bytes` behind the present record. */
  #at: number

  /**
   * Before the first record; call `advance`.
   * @param windowBlocks blocks read at a time
   * @param offset where a data block starts
   */
  constructor(source: BlockSource, windowBlocks: number, offset = 0) {
    this.#source = source
    this.#windowBlocks = windowBlocks
    this.#recordsEnd = source.figures.recordsBytes
    this.#window = Buffer.alloc(0)
    this.#bytesOffset = offset
    this.#at = 0
  }

  /** Offset of the present record in the run. */
  get recordOffset(): number {
    return this.#bytesOffset + this.cursor.start
  }

  /** Moves to the next record; false when there is none. Rejects with EngineError `DATA_LOSS`, `STORAGE_FAILED`. */
  advance(): boolean | Promise<boolean> {
    const bytes = this.bytes
    let at = this.#at
    if (bytes[at] === 0) at = skipPadding(bytes, at, bytes.length)
    if (decodeRecord(bytes, at, bytes.length, this.cursor)) {
      this.#at = this.cursor.end
      return true
    }
    this.#at = at
    if (this.#bytesOffset + at >= this.#recordsEnd) return false
    return this.#advanceFar()
  }

  async #advanceFar(): Promise<boolean> {
    for (;;) {
      // Nothing but padding may be left of the window: then the next window may start with some, too.
      const offset = this.#bytesOffset + this.#at
      await this.#fill(offset, Math.min(RECORD_HEADER_BYTES_MAX, this.#recordsEnd - offset))
      this.#at = skipPadding(this.bytes, this.#at, this.bytes.length)
      if (this.#at < this.bytes.length) break
      if (this.#bytesOffset + this.#at >= this.#recordsEnd) return false
    }
    if (!decodeRecord(this.bytes, this.#at, this.bytes.length, this.cursor)) await this.#readLong()
    this.#at = this.cursor.end
    return true
  }

  /** The record at `#at` reaches beyond the window. */
  async #readLong(): Promise<void> {
    const offset = this.#bytesOffset + this.#at
    await this.#fill(offset, Math.min(RECORD_HEADER_BYTES_MAX, this.#recordsEnd - offset))
    const recordBytes = peekRecordBytes(this.bytes, this.#at, this.bytes.length)
    if (recordBytes < 0 || offset + recordBytes > this.#recordsEnd) throw this.#noRecord(offset)
    if (this.#at + recordBytes > this.bytes.length) await this.#fill(offset, recordBytes)
    if (!decodeRecord(this.bytes, this.#at, this.bytes.length, this.cursor)) throw this.#noRecord(offset)
  }

  /** Reads the window anew so that it holds `length` bytes from `offset`, and leaves `#at` there. */
  async #fill(offset: number, length: number): Promise<void> {
    const first = Math.floor(offset / RUN_BLOCK_BYTES)
    const needed = blockCount(offset + length) - first
    const blocks = Math.max(needed, this.#windowBlocks)
    const count = Math.min(blocks, blockCount(this.#recordsEnd) - first)
    // A window that a long record has needed is given up behind it.
    const isTooLong =
      this.#window.length > this.#windowBlocks * RUN_BLOCK_BYTES && needed <= this.#windowBlocks
    if (isTooLong || this.#window.length < count * RUN_BLOCK_BYTES) {
      this.#window = Buffer.allocUnsafeSlow(count * RUN_BLOCK_BYTES)
    }
    const read = await this.#source.readBlocks(first, count, this.#window)
    this.#bytesOffset = first * RUN_BLOCK_BYTES
    this.bytes = this.#window.subarray(0, Math.min(read, this.#recordsEnd - this.#bytesOffset))
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
    this.#at = offset - this.#bytesOffset
  }

  #noRecord(offset: number): Error {
    return runDamage(this.#source.path, `no record at byte ${offset}`)
  }
}
