// The answer to a frame of reads: `(length uvarint | bytes)*`, one for each key; length 0: not found.

import { uvarintBytes } from "@varve/engines/internal"

/**
 * The values in one new buffer, allocated once. `admit` sees its length before it is allocated, and may throw.
 */
export function encodeValueList(
  values: readonly (Uint8Array | undefined)[],
  admit: (bytes: number) => void,
): Uint8Array {
  let bytes = 0
  for (const value of values) bytes += listedBytes(value)
  admit(bytes)
  // A short one lies in the slab of small buffers: memory of its own would be an allocation outside of the heap.
  const target = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const value of values) {
    if (value === undefined) {
      target[at++] = 0
      continue
    }
    let rest = value.length
    while (rest >= 0x80) {
      target[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    target[at++] = rest
    target.set(value, at)
    at += value.length
  }
  return target
}

/** Bytes that a value takes in the list. */
export function listedBytes(value: Uint8Array | undefined): number {
  return value === undefined ? 1 : uvarintBytes(value.length) + value.length
}
