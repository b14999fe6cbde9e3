// The job that turns a range of the log into a run, byte for byte: the record at log address `start + x` is at
// offset `x` of the run. Records that a later one of the same range overwrites keep their bytes but are not
// listed, so nobody meets them again.

import { equalBytes } from "../../base/bytes.ts"
import { EngineError } from "../../base/error.ts"
import { KeyHasher } from "../../base/key-hash.ts"
import { decodeRecord, RecordCursor, skipPadding } from "../../base/record.ts"
import { defineJob } from "../../io/executor.ts"
import { HashIndex } from "../../runs/hash-index.ts"
import type { RunFigures } from "../../runs/run.ts"
import { type RunOrigin, RunWriter } from "../../runs/run-writer.ts"

/** Bytes given to the writer at a time. */
const APPEND_BYTES = 1024 * 1024

export interface FlushLogInput {
  /** The range of the log. */
  readonly buffer: ArrayBuffer
  readonly path: string
  readonly origin: RunOrigin
}

/** The records of a range, in order; parallel arrays with `count` entries. */
interface RecordList {
  count: number
  readonly offset: Float64Array
  readonly h1: Uint32Array
  readonly h2: Uint16Array
  readonly isTombstone: Uint8Array
  /** Whether a later record of the range has the same key. */
  readonly isOverwritten: Uint8Array
}

/** Figures of the published, durable run; undefined, and no run, when the range holds no record at all. */
export const flushLog = defineJob<FlushLogInput, RunFigures | undefined>(
  import.meta.url,
  "flushLog",
  async ({ fileSystem }, { buffer, path, origin }) => {
    const bytes = new Uint8Array(buffer)
    const records = listRecords(bytes, origin.hashSeed)
    if (records.count === 0) return undefined
    markOverwritten(bytes, records)
    const writer = await RunWriter.create(fileSystem, path, origin)
    try {
      let next = 0
      for (let at = 0; at < bytes.length; at += APPEND_BYTES) {
        const end = Math.min(at + APPEND_BYTES, bytes.length)
        const pending = writer.append(bytes.subarray(at, end))
        if (pending !== undefined) await pending
        for (; next < records.count && records.offset[next]! < end; next++) {
          if (records.isOverwritten[next] === 1) continue
          writer.entry(
            records.h1[next]!,
            records.h2[next]!,
            records.offset[next]!,
            records.isTombstone[next] === 1,
          )
        }
      }
      return await writer.finish()
    } catch (error) {
      await writer.abandon()
      throw error
    }
  },
)

function listRecords(bytes: Uint8Array, hashSeed: number): RecordList {
  const count = countRecords(bytes)
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

function countRecords(bytes: Uint8Array): number {
  const cursor = new RecordCursor()
  let count = 0
  for (let at = skipPadding(bytes, 0, bytes.length); at < bytes.length; count++) {
    // The log is this process's own memory: bytes that are no record mean that something overwrote it.
    if (!decodeRecord(bytes, at, bytes.length, cursor)) {
      throw new EngineError("DATA_LOSS", `the log in memory is damaged ${at} bytes into the flushed range`)
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
