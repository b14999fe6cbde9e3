// Searching data blocks for a key. In the bytes of a read records are walked over; in a cached block the directory of
// its slot names those that have the key's tag, nearly always one or none.

import { equalBytes } from "../../base/bytes.ts"
import type { KeyHasher } from "../../base/key-hash.ts"
import { decodeRecord, RecordCursor } from "../../base/record.ts"
import { type BlockDirectory, tagOf } from "../../runs/block-directory.ts"
import type { OpenRun } from "../../runs/open-run.ts"
import { RUN_BLOCK_BYTES, runDamage } from "../../runs/run-format.ts"

/** Shorter data blocks are walked over: they are as few lines of memory as a directory and a record. */
const LISTED_BYTES_MIN = 512

/** A data block in the cache: `[start, end)` of the cache's bytes; the records of its block end at `recordsEnd`. */
export class CachedRange {
  start = 0
  end = 0
  recordsEnd = 0
}

export class BlockSearch {
  /** The record that was found. */
  readonly cursor = new RecordCursor()
  readonly #hasher: KeyHasher

  /** @param hasher with the seed of the hashes that are asked with; its results are changed here */
  constructor(hasher: KeyHasher) {
    this.#hasher = hasher
  }

  /** Leaves the record of the key under `cursor`, when it is in the data block. */
  findCached(run: OpenRun, range: CachedRange, key: Uint8Array, h2: number): boolean {
    const bytes = run.cachedBytes
    const directory = this.#listedNow(run, range)
    if (directory === undefined) return this.find(run, bytes, range.start, range.end, key)
    const slot = slotOf(range)
    const blockStart = slot * RUN_BLOCK_BYTES
    const tag = tagOf(h2)
    for (let i = directory.next(slot, tag, 0); i >= 0; i = directory.next(slot, tag, i + 1)) {
      this.#decode(run, bytes, blockStart + directory.offset(slot, i), range.recordsEnd)
      if (hasKey(bytes, this.cursor, key)) return true
    }
    return false
  }

  /** Loads the bytes that `findCached` will look at; the result has no meaning. */
  touch(run: OpenRun, range: CachedRange, h2: number): number {
    const directory = this.#listed(run, range)
    if (directory === undefined) return run.cachedBytes[range.start]!
    const slot = slotOf(range)
    const record = directory.next(slot, tagOf(h2), 0)
    return record < 0 ? 0 : run.cachedBytes[slot * RUN_BLOCK_BYTES + directory.offset(slot, record)]!
  }

  /**
   * As `findCached` in `bytes[start, end)`, all records of a data block. Neighbours differ in their last bytes, so these
   * are compared before the rest, and records are walked over by their lengths alone.
   */
  find(run: OpenRun, bytes: Buffer, start: number, end: number, key: Uint8Array): boolean {
    const keyBytes = key.length
    const lastByte = key[keyBytes - 1]
    for (let at = start; at < end; ) {
      const recordKeyBytes = bytes[at]!
      if (recordKeyBytes === 0) return false
      const valueBytes = bytes[at + 1]!
      if (recordKeyBytes < 0x80 && valueBytes < 0x80 && bytes[at + 2] === 0) {
        const keyEnd = at + 3 + recordKeyBytes
        if (recordKeyBytes !== keyBytes || bytes[keyEnd - 1] !== lastByte) {
          at = keyEnd + valueBytes
          continue
        }
      }
      this.#decode(run, bytes, at, end)
      if (hasKey(bytes, this.cursor, key)) return true
      at = this.cursor.end
    }
    return false
  }

  /** The directory with all records of the range; undefined when they are walked over. */
  #listed(run: OpenRun, range: CachedRange): BlockDirectory | undefined {
    if (range.end - range.start < LISTED_BYTES_MIN) return undefined
    const directory = run.cachedDirectory
    const slot = slotOf(range)
    const from = range.start - slot * RUN_BLOCK_BYTES
    return directory.lists(slot, from) ? directory : undefined
  }

  /** As `#listed`; lists the records when that is worth its while. */
  #listedNow(run: OpenRun, range: CachedRange): BlockDirectory | undefined {
    const listed = this.#listed(run, range)
    if (listed !== undefined || range.end - range.start < LISTED_BYTES_MIN) return listed
    const directory = run.cachedDirectory
    const slot = slotOf(range)
    const blockStart = slot * RUN_BLOCK_BYTES
    const from = range.start - blockStart
    if (!directory.searched(slot, from)) return undefined
    directory.list(slot, run.cachedBytes, blockStart, from, range.recordsEnd - blockStart, this.#hasher)
    return this.#listed(run, range)
  }

  #decode(run: OpenRun, bytes: Buffer, at: number, end: number): void {
    // It was checked: what is no record was written wrongly.
    if (!decodeRecord(bytes, at, end, this.cursor))
      throw runDamage(run.path, "a data block holds what is no record")
  }
}

export function hasKey(bytes: Buffer, { keyStart, keyEnd }: RecordCursor, key: Uint8Array): boolean {
  return keyEnd - keyStart === key.length && equalBytes(bytes, keyStart, key, 0, key.length)
}

function slotOf({ start }: CachedRange): number {
  return Math.floor(start / RUN_BLOCK_BYTES)
}
