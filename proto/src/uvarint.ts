// Unsigned integers of 7 bits a byte, lowest first, the top bit set on all but the last byte; shortest form only.
// Lengths on the wire stay under 2^28: four bytes at most.

export const UVARINT_BYTES_MAX = 4
export const UVARINT_MAX = 2 ** 28 - 1

/** Bytes that `value` takes, 1 to 4. */
export function uvarintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4
}

/** Writes `value`, at most UVARINT_MAX, at `target[offset…]`; returns the offset behind it. */
export function encodeUvarint(target: Uint8Array, offset: number, value: number): number {
  let at = offset
  let rest = value
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[at] = rest
  return at + 1
}

/**
 * The uvarint of at most `bytesMax` bytes at `source[offset, end)`; -1 when it is cut off, longer, or not in
 * shortest form. It takes `uvarintBytes(value)` bytes.
 */
export function decodeUvarint(source: Uint8Array, offset: number, end: number, bytesMax: number): number {
  let value = 0
  for (let count = 0; count < bytesMax; count++) {
    if (offset + count >= end) return -1
    const byte = source[offset + count]!
    value |= (byte & 0x7f) << (7 * count)
    if (byte < 0x80) return byte === 0 && count > 0 ? -1 : value
  }
  return -1
}
