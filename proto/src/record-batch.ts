// What Pipeline frames carry. The records are those of the log and of runs: the same bytes all the way.
//
//   record := keyLength uvarint | valueLength uvarint | flags u8 | key | value       flags: zero, but in operations
//   writes := record*                 an empty value deletes the key
//   reads  := record*                 keys to read: the values are empty
//   operations := record*             flags 0x80: a key to read, its value empty; flags 0: to be written
//   values := (length uvarint | bytes)*     in the order of the keys; length 0: not found
//
//   "a" = "xyz"   01 03 00  61  78 79 7a
//
// keyLength is 1 to 65 535, valueLength under 2^28. Lengths are bounded before they are used. Cursors hold
// offsets into the caller's buffer and writers grow one buffer of their own: no allocation for a record.

import { VarveError } from "./errors.ts"
import { decodeUvarint, encodeUvarint, UVARINT_BYTES_MAX, UVARINT_MAX, uvarintBytes } from "./uvarint.ts"

/** A key has 1 to so many bytes. */
export const KEY_BYTES_MAX = 65_535
/** What the encoding can carry; a store's own limit is lower. */
export const VALUE_BYTES_MAX = UVARINT_MAX
/** Bytes before the key, at most. */
export const RECORD_HEADER_BYTES_MAX = 3 + UVARINT_BYTES_MAX + 1

/** Flags of a key to read among `operations`. */
export const READ_FLAG = 0x80

const KEY_LENGTH_BYTES_MAX = 3
const BUFFER_BYTES_FIRST = 512

/** A key and its value. */
export interface KeyValue {
  /** 1 to 65 535 bytes. */
  readonly key: Uint8Array
  /** Empty: the key is deleted. */
  readonly value: Uint8Array
}

/** Where a record lies in a buffer. Reused from record to record; `decodeRecord` and `decodeOperation` fill it. */
export class RecordCursor {
  start = 0
  flags = 0
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  /** End of the value and of the record. */
  end = 0
}

/** Bytes of the encoded record. */
export function recordBytes(keyBytes: number, valueBytes: number): number {
  return uvarintBytes(keyBytes) + uvarintBytes(valueBytes) + 1 + keyBytes + valueBytes
}

/**
 * Reads the record at `source[offset, end)` into `cursor`. Records with flags are refused: only operations have them.
 * @returns false when the bytes are no whole, well-formed record; `cursor` is then undefined.
 */
export function decodeRecord(source: Uint8Array, offset: number, end: number, cursor: RecordCursor): boolean {
  const keyBytes = decodeUvarint(source, offset, end, KEY_LENGTH_BYTES_MAX)
  if (keyBytes <= 0 || keyBytes > KEY_BYTES_MAX) return false
  let at = offset + uvarintBytes(keyBytes)
  const valueBytes = decodeUvarint(source, at, end, UVARINT_BYTES_MAX)
  if (valueBytes < 0) return false
  at += uvarintBytes(valueBytes)
  if (at >= end || source[at] !== 0) return false
  at += 1
  if (at + keyBytes + valueBytes > end) return false
  cursor.start = offset
  cursor.flags = 0
  cursor.keyStart = at
  cursor.keyEnd = at + keyBytes
  cursor.valueStart = cursor.keyEnd
  cursor.end = cursor.keyEnd + valueBytes
  return true
}

/**
 * Reads the operation at `source[offset, end)` into `cursor`: what the lengths say, whatever the flags, an empty key
 * included. Who applies it checks the key's length and the flags.
 * @returns false when the bytes are cut off, or their lengths malformed; `cursor` is then undefined.
 */
export function decodeOperation(
  source: Uint8Array,
  offset: number,
  end: number,
  cursor: RecordCursor,
): boolean {
  const keyBytes = decodeUvarint(source, offset, end, UVARINT_BYTES_MAX)
  if (keyBytes < 0) return false
  let at = offset + uvarintBytes(keyBytes)
  const valueBytes = decodeUvarint(source, at, end, UVARINT_BYTES_MAX)
  if (valueBytes < 0) return false
  at += uvarintBytes(valueBytes)
  if (at + 1 + keyBytes + valueBytes > end) return false
  cursor.start = offset
  cursor.flags = source[at]!
  cursor.keyStart = at + 1
  cursor.keyEnd = cursor.keyStart + keyBytes
  cursor.valueStart = cursor.keyEnd
  cursor.end = cursor.keyEnd + valueBytes
  return true
}

/** Where a value lies in a list of values. Reused from value to value; `decodeValue` fills it. */
export class ValueCursor {
  start = 0
  /** End of the value; equal to `start` when the key was not found. */
  end = 0
}

/**
 * Reads the value at `source[offset, end)` into `cursor`.
 * @returns false when it is cut off or malformed; `cursor` is then undefined.
 */
export function decodeValue(source: Uint8Array, offset: number, end: number, cursor: ValueCursor): boolean {
  const valueBytes = decodeUvarint(source, offset, end, UVARINT_BYTES_MAX)
  if (valueBytes < 0) return false
  const start = offset + uvarintBytes(valueBytes)
  if (start + valueBytes > end) return false
  cursor.start = start
  cursor.end = start + valueBytes
  return true
}

/** A buffer that grows: records or values one behind the other, behind room for what somebody puts before them. */
class BatchWriter {
  readonly #headroom: number
  #buffer = EMPTY
  #end: number
  #count = 0

  /** @param headroom bytes before `written` in its buffer that are left free */
  constructor(headroom = 0) {
    this.#headroom = headroom
    this.#end = headroom
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#end - this.#headroom
  }

  /** Records or values so far. */
  get count(): number {
    return this.#count
  }

  /** Bytes that it can hold without growing. */
  get capacity(): number {
    return Math.max(0, this.#buffer.length - this.#headroom)
  }

  /** The bytes so far, until something is added or the writer is cleared. */
  get written(): Uint8Array {
    return this.#buffer.subarray(this.#headroom, this.#end)
  }

  /** The writer is empty again and keeps its buffer. */
  clear(): void {
    this.#end = this.#headroom
    this.#count = 0
  }

  /** The bytes so far, now owned by the caller; the writer is empty again. */
  take(): Uint8Array {
    const taken = this.written
    this.#buffer = EMPTY
    this.clear()
    return taken
  }

  /** Where in the buffer the next bytes lie. */
  protected get end(): number {
    return this.#end
  }

  /** Makes room for `bytes` more and returns the buffer; what is written lies at the former `end`. */
  protected extend(bytes: number): Uint8Array {
    const needed = this.#end + bytes
    if (needed > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2, BUFFER_BYTES_FIRST))
      grown.set(this.#buffer.subarray(this.#headroom, this.#end), this.#headroom)
      this.#buffer = grown
    }
    this.#end = needed
    this.#count++
    return this.#buffer
  }
}

/** Writes `writes`, `reads` and `operations`. The bytes of keys and values are copied. */
export class RecordWriter extends BatchWriter {
  /** @throws VarveError `KEY_EMPTY`, `KEY_TOO_LARGE`, `VALUE_TOO_LARGE`; nothing was then added */
  add(key: Uint8Array, value: Uint8Array): void {
    this.#add(key, value, 0)
  }

  /** A key to read, or to delete. @throws VarveError `KEY_EMPTY`, `KEY_TOO_LARGE` */
  addKey(key: Uint8Array): void {
    this.#add(key, EMPTY, 0)
  }

  /** A key to read among operations. @throws VarveError `KEY_EMPTY`, `KEY_TOO_LARGE` */
  addRead(key: Uint8Array): void {
    this.#add(key, EMPTY, READ_FLAG)
  }

  /** A record that is encoded already, at `source[start, end)`. */
  copy(source: Uint8Array, start: number, end: number): void {
    const at = this.end
    this.extend(end - start).set(source.subarray(start, end), at)
  }

  #add(key: Uint8Array, value: Uint8Array, flags: number): void {
    checkKeyBytes(key.length)
    checkValueBytes(value.length)
    const start = this.end
    const buffer = this.extend(recordBytes(key.length, value.length))
    let at = encodeUvarint(buffer, start, key.length)
    at = encodeUvarint(buffer, at, value.length)
    buffer[at++] = flags
    copyInto(buffer, at, key)
    copyInto(buffer, at + key.length, value)
  }
}

/** Writes `values`. The bytes are copied. */
export class ValueWriter extends BatchWriter {
  /** @throws VarveError `VALUE_TOO_LARGE` */
  add(value: Uint8Array | undefined): void {
    const valueBytes = value === undefined ? 0 : value.length
    checkValueBytes(valueBytes)
    const start = this.end
    const buffer = this.extend(uvarintBytes(valueBytes) + valueBytes)
    const at = encodeUvarint(buffer, start, valueBytes)
    if (value !== undefined) buffer.set(value, at)
  }
}

/** A batch of records in a new buffer. @throws VarveError `KEY_EMPTY`, `KEY_TOO_LARGE`, `VALUE_TOO_LARGE` */
export function encodeRecords(records: Iterable<KeyValue>): Uint8Array {
  const writer = new RecordWriter()
  for (const { key, value } of records) writer.add(key, value)
  return writer.take()
}

/** The records of a batch, as views of it. @throws VarveError `RECORD_MALFORMED` */
export function decodeRecords(batch: Uint8Array): KeyValue[] {
  const records: KeyValue[] = []
  const cursor = new RecordCursor()
  for (let at = 0; at < batch.length; at = cursor.end) {
    if (!decodeRecord(batch, at, batch.length, cursor)) throw malformed("record", records.length, at, batch)
    records.push({
      key: batch.subarray(cursor.keyStart, cursor.keyEnd),
      value: batch.subarray(cursor.valueStart, cursor.end),
    })
  }
  return records
}

/** A list of keys in a new buffer. @throws VarveError `KEY_EMPTY`, `KEY_TOO_LARGE` */
export function encodeKeys(keys: Iterable<Uint8Array>): Uint8Array {
  const writer = new RecordWriter()
  for (const key of keys) writer.addKey(key)
  return writer.take()
}

/** The keys of a list, as views of it. @throws VarveError `RECORD_MALFORMED`, also when a value is not empty */
export function decodeKeys(list: Uint8Array): Uint8Array[] {
  const keys: Uint8Array[] = []
  const cursor = new RecordCursor()
  for (let at = 0; at < list.length; at = cursor.end) {
    if (!decodeRecord(list, at, list.length, cursor) || cursor.end !== cursor.valueStart) {
      throw malformed("key", keys.length, at, list)
    }
    keys.push(list.subarray(cursor.keyStart, cursor.keyEnd))
  }
  return keys
}

/** A list of values in a new buffer; `undefined` is "not found". @throws VarveError `VALUE_TOO_LARGE` */
export function encodeValues(values: Iterable<Uint8Array | undefined>): Uint8Array {
  const writer = new ValueWriter()
  for (const value of values) writer.add(value)
  return writer.take()
}

/** The values of a list, as views of it; `undefined` for "not found". @throws VarveError `RECORD_MALFORMED` */
export function decodeValues(list: Uint8Array): (Uint8Array | undefined)[] {
  const values: (Uint8Array | undefined)[] = []
  const cursor = new ValueCursor()
  for (let at = 0; at < list.length; at = cursor.end) {
    if (!decodeValue(list, at, list.length, cursor)) throw malformed("value", values.length, at, list)
    values.push(cursor.end === cursor.start ? undefined : list.subarray(cursor.start, cursor.end))
  }
  return values
}

/** @throws VarveError `KEY_EMPTY`, `KEY_TOO_LARGE` */
export function checkKeyBytes(keyBytes: number): void {
  if (keyBytes === 0) throw new VarveError("KEY_EMPTY", "a key has at least 1 byte")
  if (keyBytes > KEY_BYTES_MAX) {
    throw new VarveError(
      "KEY_TOO_LARGE",
      `the key has ${keyBytes} bytes; at most ${KEY_BYTES_MAX} are allowed`,
    )
  }
}

const EMPTY = new Uint8Array(0)

/** Shorter ones are copied byte by byte: calling `set` takes longer than that. */
const SET_FROM_BYTES = 24

function copyInto(target: Uint8Array, offset: number, source: Uint8Array): void {
  if (source.length >= SET_FROM_BYTES) target.set(source, offset)
  else for (let at = 0; at < source.length; at++) target[offset + at] = source[at]!
}

function checkValueBytes(valueBytes: number): void {
  if (valueBytes > VALUE_BYTES_MAX) {
    throw new VarveError(
      "VALUE_TOO_LARGE",
      `the value has ${valueBytes} bytes; at most ${VALUE_BYTES_MAX} can be sent`,
    )
  }
}

function malformed(what: string, index: number, at: number, batch: Uint8Array): VarveError {
  return new VarveError(
    "RECORD_MALFORMED",
    `${what} ${index} of the batch, at byte ${at} of ${batch.length}, is not a whole ${what}`,
  )
}
