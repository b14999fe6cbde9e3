import { expect, test } from "vitest"
import { sortPairs } from "./radix-sort.ts"

/** Numbers without pattern, the same for the same seed. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state
  }
}

// Keys that differ in all bytes, in some, in one, in none: passes are left out, and their number is even or odd.
test.each([0xffffffff, 0x00ffff00, 0xff0000ff, 0x00ff00ff, 0x000000ff, 0x80000000, 0])(
  "radix sort: as a stable comparison sorts, keys with bits of %i, and nothing else is touched",
  (mask) => {
    const next = numbers(7)
    const pairs = Array.from({ length: 3000 }, (_, i) => [i, ((next() & mask) | (0x12345678 & ~mask)) >>> 0])
    const [start, end] = [100, 2900]
    const sorted = Uint32Array.from(pairs.flat())
    sortPairs(sorted, new Uint32Array(sorted.length), start, end)
    const middle = pairs.slice(start, end).sort((a, b) => a[1]! - b[1]!)
    expect([...sorted]).toEqual([...pairs.slice(0, start), ...middle, ...pairs.slice(end)].flat())
  },
)
