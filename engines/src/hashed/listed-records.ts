// The records in a stretch of the log, as the run made of it lists them: a record that a later one of the same
// stretch overwrites keeps its bytes but is not listed, so nobody meets it again.

import { equalBytes } from "../base/bytes.ts"
import { EngineError } from "../base/error.ts"
import { KeyHasher } from "../base/key-hash.ts"
import { decodeRecord, RecordCursor, skipPadding } from "../base/record.ts"
import { HashIndex } from "../runs/hash-index.ts"
import type { RunWriter } from "../runs/run-writer.ts"

/** Parallel arrays with `count` entries, in order. */
interface RecordList {
  count: number
  readonly offset: Float64Array
  readonly h1: Uint32Array
  readonly h2: Uint16Array
  readonly isTombstone: Uint8Array
  /** Whether a later record of the stretch has the same key. */
  readonly isOverwritten: Uint8Array
}

export class ListedRecords {
  readonly #records: RecordList
  /** The first record that was not given to a writer yet. */
  #next = 0

  /**
   * Hashes and compares them all, in one turn. `bytes` is read only now.
   * @param what names the bytes in the message
   * @throws EngineError `DATA_LOSS` when they are no records
   */
  constructor(bytes: Uint8Array, hashSeed: number, what: string) {
    this.#records = listRecords(bytes, hashSeed, what)
    markOverwritten(bytes, this.#records)
  }

  /** Records in the stretch, overwritten ones included. */
  get count(): number {
    return this.#records.count
  }

  /** Tells the writer the records that start below `end` and were not told before. */
  listUpTo(end: number, writer: RunWriter): void {
    const { count, offset, h1, h2, isTombstone, isOverwritten } = this.#records
    for (; this.#next < count && offset[this.#next]! < end; this.#next++) {
      const i = this.#next
      if (isOverwritten[i] === 0) writer.entry(h1[i]!, h2[i]!, offset[i]!, isTombstone[i] === 1)
    }
  }
}

function listRecords(bytes: Uint8Array, hashSeed: number, what: string): RecordList {
  const count = countRecords(bytes, what)
  const records: RecordList = {
    count,
    offset: new Float64Array(count),
    h1: new Uint32Array(count),
    h2: new Uint16Array(count),
    isTombstone: new Uint8Array(count),
    isOverwritten: new Uint8Array(count),
  }
  const hasher = new KeyHasher(hashSeed)
  const cursor = new RecordCursor()
  let at = 0
  for (let i = 0; i < count; i++) {
    at = skipPadding(bytes, at, bytes.length)
    decodeRecord(bytes, at, bytes.length, cursor)
    hasher.hash(bytes, cursor.keyStart, cursor.keyEnd)
    records.offset[i] = at
    records.h1[i] = hasher.h1
    records.h2[i] = hasher.h2
    records.isTombstone[i] = cursor.isTombstone ? 1 : 0
    at = cursor.end
  }
  return records
}

function countRecords(bytes: Uint8Array, what: string): number {
  const cursor = new RecordCursor()
  let count = 0
  for (let at = skipPadding(bytes, 0, bytes.length); at < bytes.length; count++) {
    // These bytes were written by this process a moment ago: something has overwritten them.
    if (!decodeRecord(bytes, at, bytes.length, cursor)) {
      throw new EngineError("DATA_LOSS", `${what} is damaged ${at} bytes into the flushed range`)
    }
    at = skipPadding(bytes, cursor.end, bytes.length)
  }
  return count
}

/** From the last record to the first: the first one met of each key is the one that counts. */
function markOverwritten(bytes: Uint8Array, records: RecordList): void {
  const newest = new HashIndex()
  for (let i = records.count - 1; i >= 0; i--) {
    const h1 = records.h1[i]!
    const h2 = records.h2[i]!
    if (newest.insertIfAbsent(h1, h2, records.offset[i]!)) continue
    if (hasSameKey(bytes, newest.get(h1, h2), records.offset[i]!)) records.isOverwritten[i] = 1
  }
}

function hasSameKey(bytes: Uint8Array, aOffset: number, bOffset: number): boolean {
  const a = new RecordCursor()
  const b = new RecordCursor()
  decodeRecord(bytes, aOffset, bytes.length, a)
  decodeRecord(bytes, bOffset, bytes.length, b)
  const length = a.keyEnd - a.keyStart
  return length === b.keyEnd - b.keyStart && equalBytes(bytes, a.keyStart, bytes, b.keyStart, length)
}
