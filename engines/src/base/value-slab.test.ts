import { expect, test } from "vitest"
import { ValueSlab } from "./value-slab.ts"

test("value slab: every copy has the bytes of its range, and none is changed by a later one", () => {
  const source = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 31 + (i >> 8)) & 0xff))
  const slab = new ValueSlab(source)
  const copies: { start: number; end: number; value: Uint8Array }[] = []
  // Lengths on both sides of what is cut from slabs, at all alignments, over several slabs.
  for (let bytes = 0; bytes <= 200; bytes++) {
    for (let start = 0; start < 9; start++) {
      copies.push({ start, end: start + bytes, value: slab.copy(start, start + bytes) })
    }
  }
  for (const { start, end, value } of copies) {
    expect(Buffer.compare(value, source.subarray(start, end))).toBe(0)
  }
})

test("value slab: a value belongs to whoever got it: changing it changes neither the source nor its neighbours", () => {
  const source = Buffer.alloc(64, 1)
  const slab = new ValueSlab(source)
  const before = slab.copy(0, 7)
  const value = slab.copy(0, 13)
  const behind = slab.copy(0, 5)
  value.fill(9)
  expect([...before, ...behind, ...source].every((byte) => byte === 1)).toBe(true)
})
