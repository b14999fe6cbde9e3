// Directory and trailer are written once and read for years: their bytes are pinned, then broken one by one.

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert"
import { crc32 } from "node:zlib"
import { test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { decodeRunTail, encodeRunTail, type RunLayout } from "./run-format.ts"

const PATH = "/partition/L3.70000.9.run"
const TRAILER_START = 48
/** Of a hashed run, and of a sorted one. */
const TAIL_BYTES = TRAILER_START + 96
const SORTED_TRAILER_START = 72
const SORTED_TAIL_BYTES = SORTED_TRAILER_START + 96

/** A run of more than 4 GiB. */
const layout: RunLayout = {
  figures: {
    id: "000102030405060708090a0b0c0d0e0f",
    level: 3,
    run: 70_000,
    version: 2 ** 40,
    recordsBytes: 2 ** 32 + 5,
    recordCount: 3,
    tombstoneCount: 1,
    bytes: 2 ** 32 + 5 + 36 + (2 ** 20 + 1) * 4 + TAIL_BYTES,
  },
  hashSeed: 0xcafe_f00d,
  index: { hashes: { offset: 2 ** 32 + 5, bytes: 36, crc: 0x1111_1111 } },
  checksums: { offset: 2 ** 32 + 41, bytes: (2 ** 20 + 1) * 4, crc: 0x2222_2222 },
}
const fileBytes = layout.figures.bytes

function isDamage(error: unknown): boolean {
  return isEngineError(error, "DATA_LOSS") && error.message.includes(PATH)
}

/** Makes both checksums right again, so that a test reaches the checks that lie behind them. */
function repairChecksums(tail: Uint8Array): void {
  const view = new DataView(tail.buffer)
  const trailer = tail.length - 96
  view.setUint32(trailer + 68, crc32(tail.subarray(0, trailer)), true)
  view.setUint32(trailer + 88, crc32(tail.subarray(trailer, trailer + 88)), true)
}

/** A sorted run of two blocks of records. */
const sortedLayout: RunLayout = {
  figures: {
    id: "0f0e0d0c0b0a09080706050403020100",
    level: 1,
    run: 7,
    version: 2,
    recordsBytes: 5000,
    recordCount: 70,
    tombstoneCount: 2,
    bytes: 5000 + 40 + 100 + 8 + SORTED_TAIL_BYTES,
  },
  hashSeed: 9,
  index: {
    fences: { offset: 5000, bytes: 40, crc: 0x1111_1111 },
    filter: { offset: 5040, bytes: 100, crc: 0x2222_2222 },
  },
  checksums: { offset: 5140, bytes: 8, crc: 0x3333_3333 },
}

test("run tail: round trip", () => {
  deepStrictEqual(decodeRunTail(encodeRunTail(layout), fileBytes, PATH), layout)
})

test("run tail: bytes on disk are pinned", () => {
  const directory =
    "01000000111111110500000001000000" +
    "2400000000000000" +
    "02000000222222222900000001000000" +
    "0400400000000000"
  const trailer =
    "000102030405060708090a0b0c0d0e0f" +
    "0500000001000000" +
    "0300000000000000" +
    "0100000000000000" +
    "7011010000000000" +
    "0000000000010000" +
    "0df0feca" +
    "00100000" +
    "0300" +
    "0200"
  const hex = Buffer.from(encodeRunTail(layout)).toString("hex")
  strictEqual(hex.slice(0, 96), directory)
  strictEqual(hex.slice(96, 96 + trailer.length), trailer)
  strictEqual(hex.slice(96 + trailer.length), `7036a845${"00".repeat(12)}01000000b0fbef795652554e`)
})

test("run tail: every single-byte change is damage", () => {
  for (let at = 0; at < TAIL_BYTES; at++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const tail = encodeRunTail(layout)
      tail[at]! ^= flip
      throws(() => decodeRunTail(tail, fileBytes, PATH), isDamage, `byte ${at} ^ ${flip}`)
    }
  }
})

test("run tail: a wrong field under right checksums is damage", () => {
  const fields = {
    "kind of hashes": 0,
    "reserved of hashes": 1,
    "offset of hashes": 8,
    "offset of hashes, top": 15,
    "bytes of hashes": 16,
    "bytes of hashes, top": 23,
    "kind of checksums": 24,
    "reserved of checksums": 27,
    "offset of checksums": 32,
    "bytes of checksums": 40,
    "records bytes": TRAILER_START + 16,
    "records bytes, top": TRAILER_START + 23,
    "record count": TRAILER_START + 24,
    "record count, top": TRAILER_START + 31,
    "tombstone count, top": TRAILER_START + 39,
    "run, top": TRAILER_START + 47,
    "version, top": TRAILER_START + 55,
    "block bytes": TRAILER_START + 60,
    "level, top": TRAILER_START + 65,
    "section count": TRAILER_START + 66,
    "first reserved": TRAILER_START + 72,
    "last reserved": TRAILER_START + 83,
  }
  for (const [field, at] of Object.entries(fields)) {
    const tail = encodeRunTail(layout)
    tail[at]! += 3
    repairChecksums(tail)
    throws(() => decodeRunTail(tail, fileBytes, PATH), isDamage, field)
  }
  for (const bytes of [fileBytes - 1, fileBytes + 1]) {
    throws(() => decodeRunTail(encodeRunTail(layout), bytes, PATH), isDamage)
  }
})

test("run tail: a newer format is refused as such, format 0 is damage", () => {
  for (const format of [2, 0xffff_ffff]) {
    const tail = encodeRunTail(layout)
    new DataView(tail.buffer).setUint32(TRAILER_START + 84, format, true)
    repairChecksums(tail)
    throws(
      () => decodeRunTail(tail, fileBytes, PATH),
      (error) => isEngineError(error, "FORMAT_NEWER") && error.message.includes(PATH),
    )
  }
  const tail = encodeRunTail(layout)
  tail[TRAILER_START + 84] = 0
  repairChecksums(tail)
  throws(() => decodeRunTail(tail, fileBytes, PATH), isDamage)
})

test("run tail: a file that ends early is damage at every length", () => {
  const tail = encodeRunTail(layout)
  for (let bytes = 0; bytes < TAIL_BYTES; bytes++) {
    throws(() => decodeRunTail(tail.slice(tail.length - bytes), bytes, PATH), isDamage)
    throws(() => decodeRunTail(tail.slice(0, bytes), bytes, PATH), isDamage)
  }
  ok(tail.length === TAIL_BYTES)
})

test("run tail of a sorted run: round trip, and bytes on disk are pinned", () => {
  const tail = encodeRunTail(sortedLayout)
  strictEqual(tail.length, SORTED_TAIL_BYTES)
  deepStrictEqual(decodeRunTail(tail, sortedLayout.figures.bytes, PATH), sortedLayout)
  // Who reads the longest tail sees bytes of other sections before a shorter one.
  const longer = Buffer.concat([Buffer.alloc(24, 1), encodeRunTail(layout)])
  deepStrictEqual(decodeRunTail(longer, fileBytes, PATH), layout)
  const directory =
    "0300000011111111881300000000000028000000000000000400000022222222b0130000000000006400000000000000" +
    "020000003333333314140000000000000800000000000000"
  const hex = Buffer.from(tail).toString("hex")
  strictEqual(hex.slice(0, directory.length), directory)
  strictEqual(hex.slice(2 * (SORTED_TRAILER_START + 64), 2 * (SORTED_TRAILER_START + 68)), "01000300")
})

test("run tail of a sorted run: every single-byte change and every truncation is damage", () => {
  const { bytes } = sortedLayout.figures
  for (let at = 0; at < SORTED_TAIL_BYTES; at++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const tail = encodeRunTail(sortedLayout)
      tail[at]! ^= flip
      throws(() => decodeRunTail(tail, bytes, PATH), isDamage, `byte ${at} ^ ${flip}`)
    }
    const tail = encodeRunTail(sortedLayout)
    throws(() => decodeRunTail(tail.slice(SORTED_TAIL_BYTES - at), bytes, PATH), isDamage)
    throws(() => decodeRunTail(tail.slice(0, at), at, PATH), isDamage)
  }
})

test("run tail of a sorted run: a wrong field under right checksums is damage", () => {
  const fields = {
    "kind of fences": 0,
    "reserved of fences": 1,
    "offset of fences": 8,
    "bytes of fences": 16,
    "bytes of fences, top": 23,
    "kind of filter": 24,
    "offset of filter": 32,
    "bytes of filter": 40,
    "bytes of filter, top": 47,
    "kind of checksums": 48,
    "offset of checksums": 56,
    "bytes of checksums": 64,
    "records bytes": SORTED_TRAILER_START + 16,
    "record count, top": SORTED_TRAILER_START + 31,
    "section count": SORTED_TRAILER_START + 66,
  }
  for (const [field, at] of Object.entries(fields)) {
    const tail = encodeRunTail(sortedLayout)
    tail[at]! += 3
    repairChecksums(tail)
    throws(() => decodeRunTail(tail, sortedLayout.figures.bytes, PATH), isDamage, field)
  }
  // A filter without its header.
  const [fences, filter] = [
    { offset: 5000, bytes: 125, crc: 1 },
    { offset: 5125, bytes: 15, crc: 2 },
  ]
  const tail = encodeRunTail({ ...sortedLayout, index: { fences, filter } })
  throws(() => decodeRunTail(tail, sortedLayout.figures.bytes, PATH), isDamage)
})
