// The one encoding of a record: the same bytes on the wire, in the log and in runs.
//
//   record := keyLength uvarint | valueLength uvarint | flags u8 | [expiry u48] | key | value
//   flags  := bit 0 read-only · bit 1 executable · bit 2 carries an expiry · others zero
//   batch  := record*
//
// keyLength is at least 1; an empty value is a tombstone: the key is deleted. Integers are little-endian.
// A uvarint holds 7 bits a byte, lowest first, the top bit set on all but the last byte; shortest form only.
// Since no record starts with a zero byte, zero bytes between records are padding (in memory and in runs).
//
//   "a" = "xyz"   01 03 00  61  78 79 7a
//
// Reading costs no allocation: a cursor holds offsets into the caller's buffer, where two `subarray`
// views a record would cost many times the reading.

import { assert } from "./assert.ts"
import { EngineError } from "./error.ts"

export const KEY_BYTES_MAX = 65_535
/** What `valueBytesMax` may be set to at most; its default is VALUE_BYTES_DEFAULT. */
export const VALUE_BYTES_MAX = 256 * 1024 * 1024
export const VALUE_BYTES_DEFAULT = 4 * 1024 * 1024
/** Lengths of up to 2^28 - 1 take at most four bytes each, flags one. Writers carry no expiry yet. */
export const RECORD_HEADER_BYTES_MAX = 9

const FLAG_EXPIRY = 0b100
const FLAGS_KNOWN = 0b111
const EXPIRY_BYTES = 6

assert(VALUE_BYTES_MAX <= 2 ** 28, "a value length fits a uvarint of four bytes")

/** Where a record lies in a buffer. Reused from record to record; `decodeRecord` fills it. */
export class RecordCursor {
  start = 0
  flags = 0
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  /** End of the value and of the record. */
  end = 0

  get isTombstone(): boolean {
    return this.end === this.valueStart
  }
}

/** Bytes of the encoded record. */
export function recordBytes(keyBytes: number, valueBytes: number): number {
  return uvarintBytes(keyBytes) + uvarintBytes(valueBytes) + 1 + keyBytes + valueBytes
}

/**
 * Writes the parts before the key, for a record without flags, at `target[offset…]`.
 * @returns the offset behind them, where the key starts.
 */
export function encodeRecordHeader(
  target: Uint8Array,
  offset: number,
  keyBytes: number,
  valueBytes: number,
): number {
  let at = encodeUvarint(target, offset, keyBytes)
  at = encodeUvarint(target, at, valueBytes)
  target[at] = 0
  return at + 1
}

/** A new buffer with one record. Not for hot paths. */
export function encodeRecord(key: Uint8Array, value: Uint8Array): Uint8Array {
  const target = new Uint8Array(recordBytes(key.length, value.length))
  const keyStart = encodeRecordHeader(target, 0, key.length, value.length)
  target.set(key, keyStart)
  target.set(value, keyStart + key.length)
  return target
}

/**
 * Reads the record that starts at `offset` into `cursor`. Nothing is trusted: lengths are bounded before use.
 * @returns false when the bytes `[offset, end)` are no whole, well-formed record; `cursor` is then undefined.
 */
export function decodeRecord(source: Uint8Array, offset: number, end: number, cursor: RecordCursor): boolean {
  let at = offset
  // Keys under 128 bytes and values under 16 KiB, that is nearly all, take the first branches.
  if (at >= end) return false
  let keyBytes = source[at++]!
  if (keyBytes >= 0x80) {
    let shift = 7
    keyBytes &= 0x7f
    for (;;) {
      if (at >= end || shift > 14) return false
      const byte = source[at++]!
      keyBytes |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (byte === 0) return false
        break
      }
      shift += 7
    }
  }
  if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX || at >= end) return false
  let valueBytes = source[at++]!
  if (valueBytes >= 0x80) {
    let shift = 7
    valueBytes &= 0x7f
    for (;;) {
      if (at >= end || shift > 21) return false
      const byte = source[at++]!
      valueBytes |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (byte === 0) return false
        break
      }
      shift += 7
    }
  }
  if (valueBytes > VALUE_BYTES_MAX || at >= end) return false
  const flags = source[at++]!
  if ((flags & ~FLAGS_KNOWN) !== 0) return false
  if ((flags & FLAG_EXPIRY) !== 0) at += EXPIRY_BYTES
  if (at + keyBytes + valueBytes > end) return false
  cursor.start = offset
  cursor.flags = flags
  cursor.keyStart = at
  cursor.keyEnd = at + keyBytes
  cursor.valueStart = cursor.keyEnd
  cursor.end = cursor.keyEnd + valueBytes
  return true
}

/**
 * Bytes of the record that starts at `offset`, from its lengths and flags alone: the key and value need not be
 * there. -1 when the bytes `[offset, end)` begin no well-formed record, or end before its flags.
 */
export function peekRecordBytes(source: Uint8Array, offset: number, end: number): number {
  const keyBytes = decodeUvarint(source, offset, end)
  if (keyBytes < 1 || keyBytes > KEY_BYTES_MAX) return -1
  const valueOffset = offset + uvarintBytes(keyBytes)
  const valueBytes = decodeUvarint(source, valueOffset, end)
  if (valueBytes < 0 || valueBytes > VALUE_BYTES_MAX) return -1
  const flagsOffset = valueOffset + uvarintBytes(valueBytes)
  const flags = flagsOffset < end ? source[flagsOffset]! : FLAGS_KNOWN + 1
  if ((flags & ~FLAGS_KNOWN) !== 0) return -1
  const expiryBytes = (flags & FLAG_EXPIRY) === 0 ? 0 : EXPIRY_BYTES
  return flagsOffset + 1 + expiryBytes + keyBytes + valueBytes - offset
}

/**
 * Leaves the flags and the key of the record at `offset` in `cursor`, for who has the first bytes of it: the value need
 * not be there. False when the bytes `[offset, end)` begin no well-formed record, or end before the key does.
 */
export function decodeRecordKey(
  source: Uint8Array,
  offset: number,
  end: number,
  cursor: RecordCursor,
): boolean {
  const recordBytes = peekRecordBytes(source, offset, end)
  if (recordBytes < 0) return false
  const keyBytes = decodeUvarint(source, offset, end)
  const valueOffset = offset + uvarintBytes(keyBytes)
  const valueBytes = decodeUvarint(source, valueOffset, end)
  const keyStart = offset + recordBytes - valueBytes - keyBytes
  if (keyStart + keyBytes > end) return false
  cursor.start = offset
  cursor.flags = source[valueOffset + uvarintBytes(valueBytes)]!
  cursor.keyStart = keyStart
  cursor.keyEnd = keyStart + keyBytes
  cursor.valueStart = cursor.keyEnd
  cursor.end = cursor.keyEnd + valueBytes
  return true
}

/** The offset of the first byte at or behind `offset` that is not padding; `end` when there is none. */
export function skipPadding(source: Uint8Array, offset: number, end: number): number {
  let at = offset
  while (at < end && source[at] === 0) at++
  return at
}

/** @throws EngineError `KEY_EMPTY`, `KEY_TOO_LARGE` */
export function checkKeyBytes(keyBytes: number): void {
  if (keyBytes === 0) throw new EngineError("KEY_EMPTY", "a key has at least 1 byte")
  if (keyBytes > KEY_BYTES_MAX) {
    throw new EngineError(
      "KEY_TOO_LARGE",
      `the key has ${keyBytes} bytes; at most ${KEY_BYTES_MAX} are allowed`,
    )
  }
}

/** @throws EngineError `VALUE_TOO_LARGE` */
export function checkValueBytes(valueBytes: number, valueBytesMax: number): void {
  if (valueBytes > valueBytesMax) {
    throw new EngineError(
      "VALUE_TOO_LARGE",
      `the value has ${valueBytes} bytes; at most ${valueBytesMax} are allowed (setting valueBytesMax)`,
    )
  }
}

function encodeUvarint(target: Uint8Array, offset: number, value: number): number {
  let at = offset
  let rest = value
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[at] = rest
  return at + 1
}

/** A uvarint of up to four bytes in shortest form, or -1. */
export function decodeUvarint(source: Uint8Array, offset: number, end: number): number {
  let value = 0
  for (let at = offset, shift = 0; at < end && shift <= 21; at++, shift += 7) {
    const byte = source[at]!
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) return byte === 0 && shift > 0 ? -1 : value
  }
  return -1
}

/** Bytes of the shortest form. */
export function uvarintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4
}
