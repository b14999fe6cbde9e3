// Properties of cutting: the pieces make up the whole, cuts lie between records, sizes keep their bounds, and a
// change moves cuts near it only.

import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { decodeRecord, encodeRecord, RecordCursor } from "../base/record.ts"
import { areChunkingParameters, Chunker, type ChunkingParameters, chunkingDefaults } from "./chunker.ts"

const small: ChunkingParameters = {
  algorithm: "fastcdc-gear32",
  bytesMin: 256,
  bytesAverage: 1024,
  bytesMax: 4096,
}

/** Deterministic bytes without pattern (xorshift32). */
function noise(count: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(count)
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  for (let i = 0; i < count; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state >>> 16
  }
  return bytes
}

function record(number: number, valueBytes = 100, seed = 1): Uint8Array {
  return encodeRecord(
    Buffer.from(`key-${String(number).padStart(12, "0")}`),
    noise(valueBytes, number * 31 + seed),
  )
}

/** Ends of all chunks of `file`, fed in windows of `windowBytes` that start where the chunker has come to. */
function cut(file: Uint8Array, recordsBytes: number, parameters = small, windowBytes = 1500): number[] {
  const chunker = new Chunker(parameters, { recordsBytes, fileBytes: file.length })
  const ends: number[] = []
  while (chunker.position < file.length) {
    const start = chunker.position
    const window = file.subarray(start, start + windowBytes)
    for (;;) {
      const found = chunker.advance(window, start)
      expect(found).not.toBe("malformed")
      if (found === "more") break
      expect(chunker.isInRecords).toBe(chunker.position <= recordsBytes)
      ends.push(chunker.position)
      chunker.startChunk()
      if (chunker.position === file.length) break
    }
  }
  return ends
}

/** Where records end, and where they start again behind padding: between those, cuts may lie. */
function boundaries(records: Uint8Array): Set<number> {
  const cursor = new RecordCursor()
  const between = new Set<number>([0])
  for (let at = 0; at < records.length; ) {
    if (records[at] === 0) {
      between.add(at++)
      continue
    }
    expect(decodeRecord(records, at, records.length, cursor)).toBe(true)
    between.add(at)
    at = cursor.end
  }
  return between.add(records.length)
}

function chunkNames(file: Uint8Array, ends: readonly number[]): string[] {
  return ends.map((end, i) =>
    createHash("sha256")
      .update(file.subarray(ends[i - 1] ?? 0, end))
      .digest("hex"),
  )
}

describe("chunker", () => {
  const pieces = fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 1, max: 300 }).map((size) => ({ size, padding: 0 })) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 9000 }).map((size) => ({ size, padding: 0 })) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 9000 }).map((padding) => ({ size: 0, padding })) },
    ),
    { maxLength: 120 },
  )

  test("cuts of any run lie between records, in order, make up the file, and keep to the bounds", () => {
    fc.assert(
      fc.property(
        pieces,
        fc.nat({ max: 6000 }),
        fc.integer({ min: 9, max: 5000 }),
        (parts, rest, windowBytes) => {
          const records = Buffer.concat(
            parts.map(({ size, padding }, i) => (padding > 0 ? new Uint8Array(padding) : record(i, size))),
          )
          const file = Buffer.concat([records, noise(rest, 7)])
          if (file.length === 0) return
          const ends = cut(file, records.length, small, windowBytes)
          expect(ends.at(-1)).toBe(file.length)
          if (records.length > 0) expect(ends).toContain(records.length)
          const between = boundaries(records)
          ends.forEach((end, i) => {
            const start = ends[i - 1] ?? 0
            expect(end).toBeGreaterThan(start)
            if (end <= records.length) expect(between.has(end)).toBe(true)
            if (end - start > small.bytesMax) {
              const cursor = new RecordCursor()
              expect(decodeRecord(records, start, records.length, cursor)).toBe(true)
              expect([cursor.start, cursor.end]).toEqual([start, end])
            }
            if (start >= records.length && end < file.length) {
              expect(end - start).toBeGreaterThanOrEqual(small.bytesMin)
            }
          })
          expect(cut(file, records.length, small, file.length)).toEqual(ends)
        },
      ),
      { seed: 20_240_607, numRuns: 300 },
    )
  })

  test("padding belongs to the chunk before it", () => {
    const parts: Uint8Array[] = []
    for (let i = 0; i < 400; i++) parts.push(record(i), new Uint8Array(i % 7))
    const file = Buffer.concat(parts)
    for (const end of cut(file, file.length).slice(0, -1)) expect(file[end]).not.toBe(0)
  })

  test("a record above the maximum is a chunk of its own", () => {
    const file = Buffer.concat([record(1), record(2, 9000), record(3)])
    const first = record(1).length
    expect(cut(file, file.length)).toEqual([first, first + record(2, 9000).length, file.length])
  })

  test("chunks are near the average, and only the one before a part's end is below the minimum", () => {
    const records = Buffer.concat(Array.from({ length: 10_000 }, (_, i) => record(i)))
    const ends = cut(records, records.length)
    const lengths = ends.map((end, i) => end - (ends[i - 1] ?? 0))
    expect(Math.min(...lengths.slice(0, -1))).toBeGreaterThanOrEqual(small.bytesMin)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(small.bytesMax)
    expect(records.length / ends.length).toBeGreaterThan(small.bytesAverage * 0.8)
    expect(records.length / ends.length).toBeLessThan(small.bytesAverage * 1.5)
  })

  test("where a chunk ends depends on nothing before it", () => {
    const records = Buffer.concat(Array.from({ length: 10_000 }, (_, i) => record(i)))
    const ends = cut(records, records.length)
    for (const [i, end] of ends.slice(0, -1).entries()) {
      const next = records.subarray(end, end + 50 * record(0).length)
      expect(end + cut(next, next.length)[0]!).toBe(ends[i + 1])
    }
  })

  test("inserting, removing and changing records changes the chunks around them only", () => {
    const all = Array.from({ length: 5000 }, (_, i) => record(i))
    const variants: [string, Uint8Array[]][] = [
      ["inserted at the front", [record(9999), ...all]],
      ["inserted", [...all.slice(0, 2500), record(9999), ...all.slice(2500)]],
      ["removed", [...all.slice(0, 2500), ...all.slice(2501)]],
      ["changed", [...all.slice(0, 2500), record(2500, 100, 2), ...all.slice(2501)]],
      ["grown", [...all.slice(0, 2500), record(2500, 131), ...all.slice(2501)]],
    ]
    const before = Buffer.concat(all)
    const names = new Set(chunkNames(before, cut(before, before.length)))
    for (const [what, records] of variants) {
      const after = Buffer.concat(records)
      const fresh = chunkNames(after, cut(after, after.length)).filter((name) => !names.has(name))
      expect(fresh.length, what).toBeGreaterThan(0)
      expect(fresh.length, what).toBeLessThanOrEqual(4)
    }
  })

  test("bytes behind the records are found again at other places", () => {
    const rest = noise(200_000, 3)
    const file = (recordCount: number): { bytes: Uint8Array; recordsBytes: number } => {
      const records = Buffer.concat(Array.from({ length: recordCount }, (_, i) => record(i)))
      return { bytes: Buffer.concat([records, noise(recordCount, 5), rest]), recordsBytes: records.length }
    }
    const namesOf = ({ bytes, recordsBytes }: ReturnType<typeof file>) =>
      chunkNames(bytes, cut(bytes, recordsBytes))
    const before = new Set(namesOf(file(100)))
    const fresh = namesOf(file(0)).filter((name) => !before.has(name))
    expect(fresh.length).toBeLessThanOrEqual(3)
  })

  test("bytes that are no record are told, with their place", () => {
    const good = Buffer.concat([record(1), record(2)])
    const chunker = new Chunker(small, { recordsBytes: good.length - 1, fileBytes: good.length })
    expect(chunker.advance(good, 0)).toBe("malformed")
    expect(chunker.position).toBe(record(1).length)
  })

  test("the places of cuts are pinned: chunks of repositories written before are found again", () => {
    const records = Buffer.concat(Array.from({ length: 3000 }, (_, i) => record(i)))
    const ends = cut(records, records.length, chunkingDefaults)
    expect(ends.map((end) => end / record(0).length)).toEqual([
      143, 324, 443, 611, 762, 935, 1081, 1295, 1428, 1619, 1771, 1948, 2087, 2213, 2365, 2461, 2621, 2792,
      2991, 3000,
    ])
  })

  test("parameters out of bounds or out of order are refused", () => {
    expect(areChunkingParameters(chunkingDefaults)).toBe(true)
    for (const wrong of [
      { bytesMin: 63 },
      { bytesMin: 1024 },
      { bytesMin: 256.5 },
      { bytesAverage: 1000 },
      { bytesMax: 1024 },
      { bytesMax: 2 ** 23 + 1 },
      { algorithm: "other" as "fastcdc-gear32" },
    ]) {
      expect(areChunkingParameters({ ...small, ...wrong }), JSON.stringify(wrong)).toBe(false)
    }
  })
})
