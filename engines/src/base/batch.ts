// Batches that came from outside: whole records without flags, or a refusal that says which record is wrong, and how.

import { EngineError } from "./error.ts"
import {
  checkValueBytes,
  decodeRecord,
  decodeUvarint,
  KEY_BYTES_MAX,
  RecordCursor,
  uvarintBytes,
} from "./record.ts"

/** What a batch holds, found by one pass over it. */
export interface BatchFigures {
  readonly recordCount: number
  readonly recordBytesMax: number
}

/**
 * Checks a batch that came from outside, whole, before any of it is applied.
 * @param what names the records in messages
 * @throws EngineError `VALUE_TOO_LARGE`, and those of `refuseRecord`
 */
export function checkBatch(batch: Uint8Array, valueBytesMax: number, what = "the batch"): BatchFigures {
  const cursor = new RecordCursor()
  let recordCount = 0
  let recordBytesMax = 0
  let at = 0
  while (at < batch.length) {
    if (!decodeRecord(batch, at, batch.length, cursor) || cursor.flags !== 0) {
      refuseRecord(batch, at, `record ${recordCount} of ${what}`)
    }
    checkValueBytes(cursor.end - cursor.valueStart, valueBytesMax)
    recordBytesMax = Math.max(recordBytesMax, cursor.end - cursor.start)
    recordCount++
    at = cursor.end
  }
  return { recordCount, recordBytesMax }
}

/**
 * Says what is wrong with the record at `batch[at…]`: it cannot be decoded, or has flags.
 * @param what names the record in the message
 * @throws EngineError `RECORD_MALFORMED`, `RECORD_FLAGS_UNSUPPORTED`, `KEY_EMPTY`, `KEY_TOO_LARGE`
 */
export function refuseRecord(batch: Uint8Array, at: number, what: string): never {
  const keyBytes = decodeUvarint(batch, at, batch.length)
  const valueOffset = at + uvarintBytes(keyBytes)
  const valueBytes = decodeUvarint(batch, valueOffset, batch.length)
  const flagsOffset = valueOffset + uvarintBytes(valueBytes)
  // What is whole by its lengths is taken for a record, whatever else is wrong with it.
  if (keyBytes >= 0 && valueBytes >= 0 && flagsOffset + 1 + keyBytes + valueBytes <= batch.length) {
    const flags = batch[flagsOffset]!
    if (flags !== 0) {
      throw new EngineError("RECORD_FLAGS_UNSUPPORTED", `${what} has flags ${flags}; only 0 may be written`)
    }
    if (keyBytes === 0) throw new EngineError("KEY_EMPTY", `${what} has no key; a key has at least 1 byte`)
    if (keyBytes > KEY_BYTES_MAX) {
      throw new EngineError(
        "KEY_TOO_LARGE",
        `the key of ${what} has ${keyBytes} bytes; at most ${KEY_BYTES_MAX} are allowed`,
      )
    }
  }
  throw new EngineError(
    "RECORD_MALFORMED",
    `${what}, at byte ${at} of ${batch.length}, is not a whole record`,
  )
}
