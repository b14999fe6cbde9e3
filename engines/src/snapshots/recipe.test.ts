// A recipe is all there is to put a run together: its bytes are pinned, then each of them is broken.

import { crc32 } from "node:zlib"
import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { decodeRecipe, encodeRecipe, type Recipe, recipeBytes } from "./recipe.ts"
import { regionKinds } from "./region-kind.ts"

const recipe: Recipe = {
  run: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
  runBytes: 300,
  packs: ["000102030405060708090a0b0c0d0e0f", "101112131415161718191a1b1c1d1e1f"],
  chunks: {
    count: 3,
    kinds: Uint8Array.of(regionKinds.records, regionKinds.records, regionKinds.index),
    lengths: Uint32Array.of(100, 150, 50),
    hashes: Uint8Array.from({ length: 96 }, (_, i) => i),
    packs: Uint32Array.of(1, 0, 1),
    offsets: Uint32Array.of(4096, 0, 70_000),
  },
}

const entriesStart = 40 + 32
const bytesMax = 0x20

function encoded(): Buffer {
  return Buffer.from(encodeRecipe(recipe))
}

function reasonOf(source: Uint8Array): string {
  try {
    decodeRecipe(source, "a recipe")
    return "none"
  } catch (error) {
    if (isEngineError(error)) return error.reason
    throw error
  }
}

function repair(source: Buffer): Buffer {
  source.writeUInt32LE(crc32(source.subarray(0, source.length - 4)), source.length - 4)
  return source
}

describe("recipe", () => {
  test("bytes are pinned", () => {
    expect(encoded().toString("hex")).toBe(
      [
        `5652435001000000${recipe.run}2c010000000000000200000003000000`,
        ...recipe.packs,
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "00100000" + "64000000" + "01000000" + "01" + "000000",
        "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
        "00000000" + "96000000" + "00000000" + "01" + "000000",
        "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f",
        "70110100" + "32000000" + "01000000" + "02" + "000000",
        "5fc6b533",
      ].join(""),
    )
  })

  test("comes back as it was", () => {
    expect(decodeRecipe(encoded(), "a recipe")).toEqual(recipe)
    expect(encoded().length).toBe(recipeBytes(2, 3))
  })

  test("every single-byte change is damage", () => {
    for (let at = 0; at < encoded().length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const source = encoded()
        source[at]! ^= flip
        expect(reasonOf(source), `byte ${at} changed by ${flip}`).toBe("DATA_LOSS")
      }
    }
  })

  test("every truncation is damage, under a right checksum too", () => {
    for (let bytes = 0; bytes < encoded().length; bytes++) {
      const source = encoded().subarray(0, bytes)
      expect(reasonOf(source), `${bytes} bytes`).toBe("DATA_LOSS")
      if (bytes >= 4) expect(reasonOf(repair(source)), `${bytes} bytes, repaired`).toBe("DATA_LOSS")
    }
  })

  test.each([
    ["magic", 0, 0],
    ["format zero", 4, 0],
    ["reserved bytes of the header", 6, 1],
    ["bytes of the run", 24, 0x2d],
    ["bytes of the run, high word", 28, 1],
    ["pack count", 32, 1],
    ["pack count zero", 32, 0],
    ["entry count", 36, 2],
    ["entry count zero", 36, 0],
    ["a pack named twice", 40 + 16, 0],
    ["length", entriesStart + 36, 99],
    ["length above the limit", entriesStart + 39, bytesMax],
    ["pack that is not named", entriesStart + 40, 2],
    ["a pack without chunks", entriesStart + 48 + 40, 1],
    ["kind of a recipe", entriesStart + 44, regionKinds.recipe],
    ["kind zero", entriesStart + 44, 0],
    ["reserved bytes of an entry", entriesStart + 45, 1],
  ])("a wrong field under a right checksum is damage: %s", (what, at, value) => {
    const source = encoded()
    if (what === "a pack named twice") source.copy(source, 40 + 16, 40, 40 + 16)
    else source[at] = value
    expect(reasonOf(repair(source))).toBe("DATA_LOSS")
  })

  test("a pack that is not named is damage, although as many are used as named", () => {
    const source = encoded()
    for (const entry of [0, 2]) source.writeUInt32LE(2, entriesStart + entry * 48 + 40)
    expect(reasonOf(repair(source))).toBe("DATA_LOSS")
  })

  test("a length of zero is damage, although the sum is right", () => {
    const source = encoded()
    source.writeUInt32LE(0, entriesStart + 36)
    source.writeUInt32LE(250, entriesStart + 48 + 36)
    expect(reasonOf(repair(source))).toBe("DATA_LOSS")
  })

  test("a newer format is told from damage", () => {
    const source = encoded()
    source.writeUInt16LE(2, 4)
    expect(reasonOf(repair(source))).toBe("FORMAT_NEWER")
  })
})
