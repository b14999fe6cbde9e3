// Pairs of numbers of 32 bits in the order of their second ones: a radix sort from the lowest byte up (H. Seward, MIT,
// 1954). One pass counts all four bytes, then one pass for each byte that is not the same everywhere moves the pairs.
//
//   pairs   [ carried | key ][ carried | key ] …        two words a pair
//
// 8 bytes of scratch space a pair; 256 places are written to in turn, few enough for the nearest caches.

const DIGITS = 256
const DIGIT_BITS = 8
const WORD_BITS = 32

/** Sorts pairs `[start, end)`; those with the same key keep their order. `scratch` is as long as `pairs`. */
export function sortPairs(pairs: Uint32Array, scratch: Uint32Array, start: number, end: number): void {
  const counts = countDigits(pairs, start, end)
  let source = pairs
  let target = scratch
  for (let shift = 0; shift < WORD_BITS; shift += DIGIT_BITS) {
    const first = (shift / DIGIT_BITS) * DIGITS
    // All pairs have the digit of any of them.
    if (counts[first + ((source[2 * start + 1]! >>> shift) & 0xff)] === end - start) continue
    let place = start
    for (let digit = first; digit < first + DIGITS; digit++) {
      const count = counts[digit]!
      counts[digit] = place
      place += count
    }
    for (let i = 2 * start; i < 2 * end; i += 2) {
      const key = source[i + 1]!
      const to = 2 * counts[first + ((key >>> shift) & 0xff)]!++
      target[to] = source[i]!
      target[to + 1] = key
    }
    const sorted = target
    target = source
    source = sorted
  }
  if (source !== pairs) pairs.set(source.subarray(2 * start, 2 * end), 2 * start)
}

/** How often each digit occurs: 256 counts for the lowest byte of the keys, then those for the next. */
function countDigits(pairs: Uint32Array, start: number, end: number): Uint32Array {
  const counts = new Uint32Array((DIGITS * WORD_BITS) / DIGIT_BITS)
  for (let i = 2 * start + 1; i < 2 * end; i += 2) {
    const key = pairs[i]!
    counts[key & 0xff]!++
    counts[DIGITS + ((key >>> 8) & 0xff)]!++
    counts[2 * DIGITS + ((key >>> 16) & 0xff)]!++
    counts[3 * DIGITS + (key >>> 24)]!++
  }
  return counts
}
