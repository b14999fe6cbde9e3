// The same keys and values for all who are measured: 16 bytes and 100 bytes. Keys are written into one buffer,
// so that no contender pays for the making of a million objects.

export const KEY_BYTES = 16
export const VALUE_BYTES = 100
export const RECORD_BYTES = KEY_BYTES + VALUE_BYTES

/** A reusable key: `setKey(key, i)` makes it the key of record `i`. */
export function newKey(): Buffer {
  return Buffer.from("record-number---", "latin1")
}

/** Makes `key` that of record `i`, in place; keys sort as their numbers do. `i` is below 2^32. */
export function setKey(key: Buffer, i: number): void {
  key[12] = i >>> 24
  key[13] = i >>> 16
  key[14] = i >>> 8
  key[15] = i
}

/** A value that differs from round to round. */
export function roundValue(round: number): Buffer {
  return Buffer.alloc(VALUE_BYTES, 97 + (round % 26))
}
