// Records in the memory log: found again, compared, appended, changed in place.

import { copyBytes, copyRange, equalBytes } from "../base/bytes.ts"
import { overwriteRecord } from "../base/overwrite-record.ts"
import { decodeRecord, encodeRecordHeader, RecordCursor, recordBytes } from "../base/record.ts"
import { ValueSlab } from "../base/value-slab.ts"
import type { ColdRecord } from "./cold-reads.ts"
import type { MemoryLog } from "./memory-log.ts"

export class MemoryRecords {
  readonly log: MemoryLog
  /** The record that was looked at last. */
  readonly cursor = new RecordCursor()
  readonly #lagBytes: number
  #values: ValueSlab

  /** @param lagBytes how far behind the tail records may be changed in place; 0: no record ever is */
  constructor(log: MemoryLog, lagBytes: number) {
    this.log = log
    this.#lagBytes = lagBytes
    this.#values = new ValueSlab(log.bytes)
  }

  /** Whether the record at `address` is in memory. */
  has(address: number): boolean {
    return address >= this.log.head && address < this.log.tail
  }

  /** Leaves the record at `address`, which is in memory, under the cursor, and says whether it has this key. */
  hasKey(address: number, key: Uint8Array, keyStart: number, keyEnd: number): boolean {
    const { log, cursor } = this
    decodeRecord(log.bytes, log.offsetOf(address), log.capacity, cursor)
    const keyBytes = keyEnd - keyStart
    return (
      cursor.keyEnd - cursor.keyStart === keyBytes &&
      equalBytes(log.bytes, cursor.keyStart, key, keyStart, keyBytes)
    )
  }

  /** A copy of the value under the cursor, the caller's own. */
  value(): Uint8Array {
    const { bytes } = this.log
    if (this.#values.source !== bytes) this.#values = new ValueSlab(bytes)
    return this.#values.copy(this.cursor.valueStart, this.cursor.end)
  }

  /** A copy of the record at `address`, which is in memory. */
  read(address: number): ColdRecord {
    const { log, cursor } = this
    decodeRecord(log.bytes, log.offsetOf(address), log.capacity, cursor)
    return {
      key: copyBytes(log.bytes, cursor.keyStart, cursor.keyEnd),
      value: copyBytes(log.bytes, cursor.valueStart, cursor.end),
    }
  }

  /** A copy of the key of the record at `address`, which is in memory. */
  readKey(address: number): Uint8Array {
    const { log, cursor } = this
    decodeRecord(log.bytes, log.offsetOf(address), log.capacity, cursor)
    return copyBytes(log.bytes, cursor.keyStart, cursor.keyEnd)
  }

  /** The length of the key of the record at `address`, which is in memory; the record is left under the cursor. */
  keyBytes(address: number): number {
    const { log, cursor } = this
    decodeRecord(log.bytes, log.offsetOf(address), log.capacity, cursor)
    return cursor.keyEnd - cursor.keyStart
  }

  /** Copies the key under the cursor to `target` at `offset`. */
  copyKey(target: Uint8Array, offset: number): void {
    copyRange(target, offset, this.log.bytes, this.cursor.keyStart, this.cursor.keyEnd)
  }

  /** Writes a record at the tail and returns its address. There is room: `admit` was asked. */
  append(
    keySource: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): number {
    const { log } = this
    const keyBytes = keyEnd - keyStart
    const valueBytes = valueEnd - valueStart
    const address = log.reserve(recordBytes(keyBytes, valueBytes))
    const at = encodeRecordHeader(log.bytes, log.offsetOf(address), keyBytes, valueBytes)
    copyRange(log.bytes, at, keySource, keyStart, keyEnd)
    copyRange(log.bytes, at + keyBytes, valueSource, valueStart, valueEnd)
    if (this.#lagBytes === 0) log.readOnly = log.tail
    else log.freezeBehind(this.#lagBytes)
    return address
  }

  /**
   * Changes the record under the cursor, at `address` of the mutable region, to the new value, when that fits into
   * the bytes of the record and the padding behind it. What is left over becomes padding.
   */
  overwrite(address: number, valueSource: Uint8Array, valueStart: number, valueEnd: number): boolean {
    const { bytes } = this.log
    const { start, end, valueStart: target } = this.cursor
    if (valueEnd - valueStart === end - target) {
      copyRange(bytes, target, valueSource, valueStart, valueEnd)
      return true
    }
    const slotEndMax = start + this.log.bytesToBorder(address)
    return overwriteRecord(bytes, this.cursor, slotEndMax, valueSource, valueStart, valueEnd)
  }

  /** Makes padding of the record under the cursor: it is neither written out as a record nor met again. */
  erase(): void {
    this.log.bytes.fill(0, this.cursor.start, this.cursor.end)
  }
}
