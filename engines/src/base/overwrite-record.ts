// Changing a record where it lies.
//
//   before   [header|key|value        ]0 0 0[next record]       0: padding
//   longer   [header|key|longer value    ]0[next record]        when it fits into the padding behind
//   shorter  [header|key|val]0 0 0 0 0 0 0 0[next record]

import { copyRange } from "./bytes.ts"
import { encodeRecordHeader, type RecordCursor, recordBytes } from "./record.ts"

/**
 * Gives the record under the cursor the value `source[valueStart, valueEnd)`, when that fits into its bytes and the
 * padding behind them, up to `slotEndMax`; what is left over becomes padding. False: nothing has changed.
 */
export function overwriteRecord(
  bytes: Buffer,
  { start, end, keyStart, keyEnd }: RecordCursor,
  slotEndMax: number,
  source: Uint8Array,
  valueStart: number,
  valueEnd: number,
): boolean {
  const keyBytes = keyEnd - keyStart
  const valueBytes = valueEnd - valueStart
  const newEnd = start + recordBytes(keyBytes, valueBytes)
  let slotEnd = end
  while (slotEnd < newEnd && slotEnd < slotEndMax && bytes[slotEnd] === 0) slotEnd++
  if (slotEnd < newEnd) return false
  const newKeyStart = newEnd - valueBytes - keyBytes
  // The header is longer or shorter when the length of the value takes more bytes or fewer.
  if (newKeyStart !== keyStart) bytes.copyWithin(newKeyStart, keyStart, keyEnd)
  encodeRecordHeader(bytes, start, keyBytes, valueBytes)
  copyRange(bytes, newKeyStart + keyBytes, source, valueStart, valueEnd)
  if (slotEnd > newEnd) bytes.fill(0, newEnd, slotEnd)
  return true
}
