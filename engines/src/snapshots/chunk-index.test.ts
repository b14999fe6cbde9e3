// The chunk index against a map, and what it forgets.

import { createHash } from "node:crypto"
import { describe, expect, test } from "vitest"
import { ChunkIndex } from "./chunk-index.ts"
import { regionKinds } from "./region-kind.ts"

const { records, index: indexKind } = regionKinds

function hash(number: number): Uint8Array {
  return createHash("sha256").update(String(number)).digest()
}

function place(number: number) {
  return { pack: number.toString(16).padStart(32, "0"), offset: number, length: number + 1 }
}

describe("chunk index", () => {
  test("answers where each of many chunks lies, and nothing for others", () => {
    const index = new ChunkIndex()
    for (let i = 0; i < 50_000; i++) index.add(records, hash(i), 0, place(i))
    expect(index.count).toBe(50_000)
    for (let i = 0; i < 50_000; i++) expect(index.get(records, hash(i), 0)).toEqual(place(i))
    for (let i = 50_000; i < 51_000; i++) expect(index.get(records, hash(i), 0)).toBeUndefined()
  })

  test("chunks of one hash and two kinds are two", () => {
    const index = new ChunkIndex()
    index.add(records, hash(1), 0, place(1))
    expect(index.get(indexKind, hash(1), 0)).toBeUndefined()
    index.add(indexKind, hash(1), 0, place(2))
    expect(index.get(records, hash(1), 0)).toEqual(place(1))
    expect(index.get(indexKind, hash(1), 0)).toEqual(place(2))
  })

  test("hashes that differ in one byte anywhere are two chunks", () => {
    const index = new ChunkIndex()
    index.add(records, hash(1), 0, place(1))
    for (let at = 0; at < 32; at++) {
      const other = Uint8Array.from(hash(1))
      other[at]! ^= 1
      expect(index.get(records, other, 0), `byte ${at}`).toBeUndefined()
    }
  })

  test("the newer place of a chunk wins", () => {
    const index = new ChunkIndex()
    index.add(records, hash(1), 0, place(1))
    index.add(records, hash(1), 0, place(2))
    expect(index.get(records, hash(1), 0)).toEqual(place(2))
    expect(index.count).toBe(1)
  })

  test("reads hashes where they lie in a column", () => {
    const index = new ChunkIndex()
    const column = Buffer.concat([hash(1), hash(2), hash(3)])
    index.add(records, column, 32, place(2))
    expect(index.get(records, hash(2), 0)).toEqual(place(2))
    expect(index.get(records, column, 32)).toEqual(place(2))
    expect(index.get(records, column, 64)).toBeUndefined()
  })

  test("never holds more than its limit, keeps what is used, and forgets what is not", () => {
    const countMax = 256 * 2 * 4
    const index = new ChunkIndex(countMax)
    for (let i = 0; i < countMax * 10; i++) {
      index.add(records, hash(i), 0, place(i))
      if (i % 16 === 0) expect(index.get(records, hash(0), 0)).toEqual(place(0))
      expect(index.count).toBeLessThanOrEqual(countMax)
    }
    let remembered = 0
    for (let i = 1; i < countMax * 9; i++) {
      if (index.get(records, hash(i), 0) !== undefined) remembered++
    }
    expect(index.get(records, hash(0), 0)).toEqual(place(0))
    expect(remembered).toBeLessThan(countMax)
  })
})
