// Fences and filters as they stand in a file: what a writer must not write is refused, whatever checksums say.

import { ok, strictEqual, throws } from "node:assert"
import { test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { BloomFilter } from "./bloom-filter.ts"
import { type Fences, FencesReader } from "./fences.ts"

const PATH = "/partition/L0.1.1.run"

function isDamage(error: unknown): boolean {
  return isEngineError(error, "DATA_LOSS") && error.message.includes(PATH)
}

function section(fences: readonly (readonly [offset: number, key: string])[]): Buffer {
  return Buffer.concat(
    fences.map(([offset, key]) => {
      const header = Buffer.alloc(8)
      header.writeUIntLE(offset, 0, 6)
      header.writeUInt16LE(Buffer.byteLength(key), 6)
      return Buffer.concat([header, Buffer.from(key)])
    }),
  )
}

/** @param pieceBytes how much of the section comes at a time */
function readFences(bytes: Buffer, recordCount = 100, pieceBytes = bytes.length): Fences {
  const reader = new FencesReader({ path: PATH, recordsBytes: 1000, sectionBytes: bytes.length })
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes))
  return reader.finish(recordCount)
}

function find(fences: Fences, key: string): number {
  const bytes = Buffer.from(`<${key}>`)
  return fences.find(bytes, 1, bytes.length - 1)
}

const four = section([
  [0, ""],
  [100, "key-b"],
  [200, "key-bcdefg"],
  [300, "key-bcdefh"],
])

test("fences: a key lies in the last block whose fence is not above it", () => {
  for (const pieceBytes of [1, 3, 7, 1000]) {
    const fences = readFences(four, 100, pieceBytes)
    const expected = {
      "": 0,
      a: 0,
      key: 0,
      "key-": 0,
      "key-a": 0,
      "key-az": 0,
      "key-b": 1,
      "key-b\0": 1,
      "key-bcdef": 1,
      "key-bcdefg": 2,
      "key-bcdefg\0": 2,
      "key-bcdefh": 3,
      "key-bd": 3,
      "key-c": 3,
      z: 3,
    }
    for (const [key, block] of Object.entries(expected)) strictEqual(find(fences, key), block, key)
    strictEqual(fences.count, 4)
    strictEqual(fences.end(2), 300)
    strictEqual(fences.end(3), 1000)
  }
})

test("fences: a zero byte at the end of a key is a part of it", () => {
  const fences = readFences(
    section([
      [0, ""],
      [100, "a"],
      [200, "a\0"],
      [300, "a\0\0"],
      [400, "a\0\0\0\0\0"],
    ]),
  )
  strictEqual(find(fences, "a"), 1)
  strictEqual(find(fences, "a\0"), 2)
  strictEqual(find(fences, "a\0\0\0"), 3)
  strictEqual(find(fences, "a\0\0\0\0\0\0"), 4)
})

test("fences: wrong ones are refused", () => {
  const wrong: Record<string, Buffer> = {
    "the first has a key": section([[0, "a"]]),
    "the first is not at the start": section([[1, ""]]),
    "offsets do not ascend": section([
      [0, ""],
      [9, "a"],
      [9, "b"],
    ]),
    "an offset behind the records": section([
      [0, ""],
      [1000, "a"],
    ]),
    "equal keys": section([
      [0, ""],
      [9, "a"],
      [10, "a"],
    ]),
    "keys that descend": section([
      [0, ""],
      [9, "b"],
      [10, "a"],
    ]),
    "it ends in a key": four.subarray(0, -1),
    "it ends in a header": four.subarray(0, 12),
    none: Buffer.alloc(0),
  }
  for (const [what, bytes] of Object.entries(wrong)) throws(() => readFences(bytes), isDamage, what)
  throws(() => readFences(four, 3), isDamage, "more fences than records")
  throws(() => readFences(four, 0), isDamage, "fences of no records")
  strictEqual(readFences(Buffer.alloc(0), 0).count, 0)
})

function encoded(filter: BloomFilter): Buffer {
  return Buffer.concat(filter.encode())
}

test("filter: what was added passes, also after a round trip; bits follow the formula", () => {
  const filter = BloomFilter.make(1000, 0.01)
  const hash = (i: number): [number, number] => [Math.imul(i, 0x9e3779b1) >>> 0, (i * 7919) & 0xffff]
  for (let i = 0; i < 1000; i++) filter.add(...hash(i))
  const bytes = encoded(filter)
  strictEqual(bytes.readUInt32LE(0), 9586)
  strictEqual(bytes.readUInt32LE(8), 6)
  strictEqual(bytes.length, 16 + 1199)
  const decoded = BloomFilter.decode(bytes, PATH)
  for (let i = 0; i < 1000; i++) ok(decoded.mayHold(...hash(i)))
  let passed = 0
  for (let i = 1000; i < 101_000; i++) if (decoded.mayHold(...hash(i))) passed++
  ok(passed < 2000, `${passed} of 100000 pass`)
})

test("filter: wrong ones are refused", () => {
  const change = (at: number, value: number): Buffer => {
    const bytes = encoded(BloomFilter.make(11, 0.01))
    bytes[at] = value
    return bytes
  }
  const right = encoded(BloomFilter.make(11, 0.01))
  BloomFilter.decode(right, PATH)
  const wrong: Record<string, Buffer> = {
    "bit count": change(0, right[0]! + 8),
    "bit count, top": change(7, 1),
    "no probe": change(8, 0),
    "too many probes": change(8, 65),
    "probes, top": change(11, 1),
    reserved: change(12, 1),
    "a bit behind the last": change(right.length - 1, 0x80),
    "a byte less": right.subarray(0, -1),
    "a byte more": Buffer.concat([right, Buffer.alloc(1)]),
  }
  for (const [what, bytes] of Object.entries(wrong))
    throws(() => BloomFilter.decode(bytes, PATH), isDamage, what)
})
