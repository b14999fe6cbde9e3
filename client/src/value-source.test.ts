import { encodeValues } from "@varve/proto"
import { expect, test } from "vitest"
import { countValues, ValueSource } from "./value-source.ts"

/** Lengths around every bound: none, one byte, what has memory of its own, more than a slab. */
const LENGTHS = [0, 1, 100, 127, 128, 3_000, 4_095, 4_096, 4_097, 0, 8_191, 8_192, 8_193, 20_000, 1, 0]

function valuesOf(lengths: readonly number[]): (Buffer | undefined)[] {
  return lengths.map((length, at) => (length === 0 ? undefined : Buffer.alloc(length, at + 1)))
}

/** Comparing byte by byte in an assertion takes seconds. */
function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0
}

test("values: they come out as they went in, whatever their lengths", () => {
  for (let shift = 0; shift < LENGTHS.length; shift++) {
    const values = valuesOf([...LENGTHS.slice(shift), ...LENGTHS.slice(0, shift)])
    // In the middle of a larger buffer, as a message is.
    const list = Buffer.concat([Buffer.alloc(7), encodeValues(values)]).subarray(7)
    expect(countValues(list)).toBe(values.length)
    const source = new ValueSource(list)
    for (const [at, value] of values.entries()) {
      if ((at + shift) % 4 === 3) source.skip()
      else expect(isSame(source.next(), value)).toBe(true)
    }
  }
})

test("values: a value is the caller's own, and a small one keeps at most 8 KiB in memory", () => {
  const list = encodeValues(valuesOf(Array.from({ length: 1_000 }, () => 100)))
  const source = new ValueSource(list)
  const values = Array.from({ length: 1_000 }, () => source.next()!)
  list.fill(0)
  values[0]!.fill(255)
  for (const [at, value] of values.entries()) {
    expect(isSame(value, Buffer.alloc(100, at === 0 ? 255 : at + 1))).toBe(true)
    expect(value.buffer.byteLength).toBeLessThanOrEqual(8 * 1024)
  }
})

test("values: the last value of an answer is the caller's own, also when it is the only one", () => {
  for (const lengths of [[100], [5_000], [100, 200, 300]]) {
    const list = encodeValues(valuesOf(lengths))
    const source = new ValueSource(list)
    const values = lengths.map(() => source.next()!)
    list.fill(0)
    for (const [at, value] of values.entries()) {
      expect(isSame(value, Buffer.alloc(lengths[at]!, at + 1))).toBe(true)
      expect(value.buffer.byteLength).toBeLessThanOrEqual(8 * 1024)
    }
  }
})

test("values: a list that is cut off or has lengths of its own kind is not counted", () => {
  const list = encodeValues(valuesOf([3, 0, 200]))
  for (let end = 1; end < list.length; end++) {
    const whole = end === 4 || end === 5
    expect(countValues(list.subarray(0, end))).toBe(whole ? end - 3 : -1)
  }
  expect(countValues(Buffer.from([0x80, 0x00]))).toBe(-1)
})
