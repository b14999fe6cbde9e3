// A run file that is open in this process, shared by all who read it. Whoever needs it holds it; without holders
// it is closed, and its directory decides whether the file goes too.

import { assert } from "../base/assert.ts"
import { decodeRecord, RECORD_HEADER_BYTES_MAX, RecordCursor } from "../base/record.ts"
import type { HashPage } from "./hash-page.ts"
import type { RunFigures } from "./run.ts"
import type { RunFile, RunPage } from "./run-file.ts"
import { blockCount, RUN_BLOCK_BYTES, runDamage } from "./run-format.ts"

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
  #holds = 1
  /** Blocks that are being read: readers of one block share one read of the disk. */
  readonly #reads = new Map<number, Promise<Uint8Array>>()

  /**
   * The caller is the first holder.
   * @param onUnheld called once, when the last hold is given up; closes `file`
   */
  constructor(file: RunFile, onUnheld: (run: OpenRun) => void) {
    this.#file = file
    this.#onUnheld = onUnheld
  }

  get figures(): RunFigures {
    return this.#file.figures
  }

  /** Absolute. */
  get path(): string {
    return this.#file.path
  }

  /** Seed of the hashes in the run. */
  get hashSeed(): number {
    return this.#file.hashSeed
  }

  /** The record that starts at `offset`. One read of one block, nearly always. */
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

  /** Checked bytes of one block. A cache of blocks would stand here. */
  #block(block: number): Promise<Uint8Array> {
    const underWay = this.#reads.get(block)
    if (underWay !== undefined) return underWay
    const read = this.#readBlock(block)
    this.#reads.set(block, read)
    return read
  }

  async #readBlock(block: number): Promise<Uint8Array> {
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
    if (lengthsEnd > (first + 1) * RUN_BLOCK_BYTES) bytes = await this.#blocks(first, 2)
    const recordBytes = this.#file.checkedRecordBytes(bytes, at, offset)
    const count = blockCount(at + recordBytes)
    if (count * RUN_BLOCK_BYTES > bytes.length) bytes = await this.#blocks(first, count)
    return bytes.subarray(0, this.#recordsIn(first, bytes))
  }

  async #blocks(first: number, count: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(count * RUN_BLOCK_BYTES)
    return bytes.subarray(0, await this.#file.readBlocks(first, count, bytes))
  }

  /** How many bytes from the start of `bytes`, which are blocks from `first` on, belong to the records. */
  #recordsIn(first: number, bytes: Uint8Array): number {
    return Math.min(bytes.length, this.figures.recordsBytes - first * RUN_BLOCK_BYTES)
  }
}
