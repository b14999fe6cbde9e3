// A pack is written once and read for years: its bytes are pinned, then each of them is broken.

import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { CHUNK_BYTES_MAX, ChunkListBuilder } from "./chunk-list.ts"
import {
  decodePackEntries,
  decodePackTrailer,
  encodePackTail,
  PACK_ENTRY_BYTES,
  PACK_TRAILER_BYTES,
  packBytes,
} from "./pack.ts"
import { regionKinds } from "./region-kind.ts"

const id = "000102030405060708090a0b0c0d0e0f"
const chunks = ["alpha", "be"].map((text) => Buffer.from(text))
const name = "packs/records/x.pack"

function list() {
  const builder = new ChunkListBuilder()
  const kinds = [regionKinds.records, regionKinds.index]
  chunks.forEach((bytes, i) => {
    builder.add(kinds[i]!, bytes.length, crc32(bytes), createHash("sha256").update(bytes).digest())
  })
  return builder.build()
}

function pack(): Buffer {
  return Buffer.concat([...chunks, encodePackTail(id, list())])
}

const entriesStart = 7
const trailerStart = entriesStart + 2 * PACK_ENTRY_BYTES

/** Reads a pack as the repository does. */
function decode(object: Uint8Array) {
  const trailer = decodePackTrailer(object, object.length, name)
  const end = trailer.entriesOffset + trailer.count * PACK_ENTRY_BYTES
  return { trailer, entries: decodePackEntries(object.subarray(trailer.entriesOffset, end), trailer, name) }
}

function reasonOf(object: Uint8Array): string {
  return reasonOfCall(() => decode(object))
}

function reasonOfCall(act: () => unknown): string {
  try {
    act()
    return "none"
  } catch (error) {
    if (isEngineError(error)) return error.reason
    throw error
  }
}

/** Makes both checksums right again, so that a test reaches the checks behind them. */
function repair(object: Buffer): Buffer {
  object.writeUInt32LE(crc32(object.subarray(entriesStart, trailerStart)), trailerStart + 24)
  object.writeUInt32LE(crc32(object.subarray(trailerStart, trailerStart + 32)), trailerStart + 32)
  return object
}

describe("pack", () => {
  test("bytes are pinned", () => {
    expect(pack().toString("hex")).toBe(
      [
        "616c706861", // alpha
        "6265", // be
        "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8",
        "00000000" + "05000000" + "6a39e0d0" + "01" + "000000",
        "46599c5bb5c33101f80cea8438e2228085513dbbb19b2f5ce97bd68494d3344d",
        "05000000" + "02000000" + "0d8eca2b" + "02" + "000000",
        `${id}0200000007000000f4a8da7001000000`,
        "0e3bac87" + "5650434b",
      ].join(""),
    )
  })

  test("entries and trailer come back", () => {
    const { trailer, entries } = decode(pack())
    expect(trailer).toMatchObject({ id, count: 2, entriesOffset: 7 })
    expect(entries).toEqual({ ...list(), offsets: Uint32Array.of(0, 5) })
    expect(pack().length).toBe(packBytes(2, 7))
  })

  test("every single-byte change behind the chunks is damage", () => {
    for (let at = entriesStart; at < pack().length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const object = pack()
        object[at]! ^= flip
        expect(reasonOf(object), `byte ${at} changed by ${flip}`).toBe("DATA_LOSS")
      }
    }
  })

  test("every truncation is damage, from either end", () => {
    for (let bytes = 0; bytes < pack().length; bytes++) {
      // Copies: nothing lies before or behind them.
      expect(reasonOf(Uint8Array.from(pack().subarray(0, bytes))), `first ${bytes} bytes`).toBe("DATA_LOSS")
      const last = Uint8Array.from(pack().subarray(pack().length - bytes))
      expect(reasonOf(last), `last ${bytes} bytes`).toBe("DATA_LOSS")
    }
  })

  test.each([
    ["offset of an entry", entriesStart + PACK_ENTRY_BYTES + 32, 6],
    ["length of an entry", entriesStart + 36, 4],
    ["length zero", entriesStart + 36, 0],
    ["length of the last entry", entriesStart + PACK_ENTRY_BYTES + 36, 3],
    ["kind zero", entriesStart + 44, 0],
    ["kind unknown", entriesStart + 44, 7],
    ["reserved bytes of an entry", entriesStart + 47, 1],
    ["count", trailerStart + 16, 1],
    ["bytes of the chunks", trailerStart + 20, 8],
    ["format zero", trailerStart + 28, 0],
    ["reserved bytes of the trailer", trailerStart + 31, 1],
  ])("a wrong field under right checksums is damage: %s", (_, at, value) => {
    const object = pack()
    object[at] = value
    expect(reasonOf(repair(object))).toBe("DATA_LOSS")
  })

  test("an entry of no bytes is damage, although all sums are right", () => {
    const object = pack()
    object.writeUInt32LE(7, entriesStart + 36)
    object.writeUInt32LE(7, entriesStart + PACK_ENTRY_BYTES + 32)
    object.writeUInt32LE(0, entriesStart + PACK_ENTRY_BYTES + 36)
    expect(reasonOf(repair(object))).toBe("DATA_LOSS")
  })

  test("an entry above the largest chunk is damage, although all sums are right", () => {
    for (const [length, reason] of [
      [CHUNK_BYTES_MAX, "none"],
      [CHUNK_BYTES_MAX + 1, "DATA_LOSS"],
    ] as const) {
      const one = { ...list(), count: 1, lengths: Uint32Array.of(length) }
      const tail = encodePackTail(id, one)
      const trailer = decodePackTrailer(tail, length + tail.length, name)
      const entries = tail.subarray(0, PACK_ENTRY_BYTES)
      expect(reasonOfCall(() => decodePackEntries(entries, trailer, name))).toBe(reason)
    }
  })

  test("a pack without entries is damage", () => {
    const trailer = pack().subarray(trailerStart)
    trailer.writeUInt32LE(0, 16)
    trailer.writeUInt32LE(0, 20)
    trailer.writeUInt32LE(crc32(trailer.subarray(0, 32)), 32)
    expect(trailer.length).toBe(PACK_TRAILER_BYTES)
    expect(reasonOf(trailer)).toBe("DATA_LOSS")
  })

  test("a newer format is told from damage", () => {
    const object = pack()
    object.writeUInt16LE(2, trailerStart + 28)
    expect(reasonOf(repair(object))).toBe("FORMAT_NEWER")
  })
})
