// Comparing and copying bytes. Short ranges go through a loop; from NATIVE_CALL_BYTES on the native call is faster,
// which has a fixed cost: a call into the runtime.

const NATIVE_CALL_BYTES = 48

/** Whether `a[aStart, aStart + length)` equals `b[bStart, bStart + length)`; both ranges exist. */
export function equalBytes(
  a: Uint8Array,
  aStart: number,
  b: Uint8Array,
  bStart: number,
  length: number,
): boolean {
  if (length >= NATIVE_CALL_BYTES) {
    return Buffer.compare(a.subarray(aStart, aStart + length), b.subarray(bStart, bStart + length)) === 0
  }
  for (let i = 0; i < length; i++) {
    if (a[aStart + i] !== b[bStart + i]) return false
  }
  return true
}

/** Order of unsigned bytes; a prefix comes first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}

/** Order of `a[aStart, aEnd)` and `b[bStart, bEnd)` as `compareBytes`: negative, zero or positive. */
export function compareRanges(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart)
  const looped = Math.min(length, NATIVE_CALL_BYTES)
  for (let i = 0; i < looped; i++) {
    const difference = a[aStart + i]! - b[bStart + i]!
    if (difference !== 0) return difference
  }
  if (length > looped) return Buffer.compare(a.subarray(aStart, aEnd), b.subarray(bStart, bEnd))
  return aEnd - aStart - (bEnd - bStart)
}

/** A copy of `source[start, end)`, owned by the caller. */
export function copyBytes(source: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start)
  source.copy(copy, 0, start, end)
  return copy
}

/** Whether `bytes` starts with `prefix`. */
export function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length >= prefix.length && equalBytes(bytes, 0, prefix, 0, prefix.length)
}

/** Copies `source[start, end)` to `target` at `offset`. */
export function copyRange(
  target: Uint8Array,
  offset: number,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  if (start === 0 && end === source.length) {
    target.set(source, offset)
  } else if (end - start < NATIVE_CALL_BYTES) {
    for (let at = start, to = offset; at < end; at++, to++) target[to] = source[at]!
  } else {
    target.set(source.subarray(start, end), offset)
  }
}

/**
 * Copies `source[start, end)` to `target` at `offset`, in words of four bytes, with no call into the runtime. For records
 * of up to some hundred bytes that lie anywhere: both views cover their whole buffers.
 */
export function copyWords(
  target: DataView,
  offset: number,
  source: DataView,
  start: number,
  end: number,
): void {
  let from = start
  let to = offset
  for (; from + 4 <= end; from += 4, to += 4) target.setUint32(to, source.getUint32(from, true), true)
  for (; from < end; from++, to++) target.setUint8(to, source.getUint8(from))
}
