// From records as callers give them to checked bytes: what the engine, its log and its conditions go on with.

import { checkKeyBytes, checkValueBytes, encodeRecord } from "../base/record.ts"
import type { ConditionalRecord, KeyValue } from "../engine.ts"

const EMPTY = new Uint8Array(0)

/** @throws EngineError `KEY_EMPTY`, `KEY_TOO_LARGE`, `VALUE_TOO_LARGE` */
export function checkRecord(key: Uint8Array, value: Uint8Array, valueBytesMax: number): void {
  checkKeyBytes(key.length)
  checkValueBytes(value.length, valueBytesMax)
}

/** The records one behind the other, in a new buffer. @throws EngineError as `checkRecord` */
export function encodeChecked(records: readonly KeyValue[], valueBytesMax: number): Uint8Array {
  for (const { key, value } of records) checkRecord(key, value, valueBytesMax)
  return Buffer.concat(records.map(({ key, value }) => encodeRecord(key, value)))
}

/**
 * All conditions of a write, `expected` first, then those that records carry, in their order; empty when there are
 * none. @throws EngineError as `checkRecord`
 */
export function encodeConditions(
  records: readonly ConditionalRecord[],
  expected: readonly KeyValue[],
  valueBytesMax: number,
): Uint8Array {
  const conditions: KeyValue[] = [...expected]
  for (const { key, ifAbsent, ifValue } of records) {
    if (ifAbsent === true) conditions.push({ key, value: EMPTY })
    if (ifValue !== undefined) conditions.push({ key, value: ifValue })
  }
  return encodeChecked(conditions, valueBytesMax)
}
