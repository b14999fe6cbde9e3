// Directory and trailer are written once and read for years: their bytes are pinned, then broken one by one.

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert"
import { crc32 } from "node:zlib"
import { test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { decodeRunTail, encodeRunTail, RUN_TAIL_BYTES, type RunLayout } from "./run-format.ts"

const PATH = "/partition/L3.70000.9.run"
const TRAILER_START = 48

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
    bytes: 2 ** 32 + 5 + 36 + (2 ** 20 + 1) * 4 + RUN_TAIL_BYTES,
  },
  hashSeed: 0xcafe_f00d,
  hashes: { offset: 2 ** 32 + 5, bytes: 36, crc: 0x1111_1111 },
  checksums: { offset: 2 ** 32 + 41, bytes: (2 ** 20 + 1) * 4, crc: 0x2222_2222 },
}
const fileBytes = layout.figures.bytes

function isDamage(error: unknown): boolean {
  return isEngineError(error, "DATA_LOSS") && error.message.includes(PATH)
}

/** Makes both checksums right again, so that a test reaches the checks that lie behind them. */
function repairChecksums(tail: Uint8Array): void {
  const view = new DataView(tail.buffer)
  view.setUint32(TRAILER_START + 68, crc32(tail.subarray(0, TRAILER_START)), true)
  view.setUint32(TRAILER_START + 88, crc32(tail.subarray(TRAILER_START, TRAILER_START + 88)), true)
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
  for (let at = 0; at < RUN_TAIL_BYTES; at++) {
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
  for (let bytes = 0; bytes < RUN_TAIL_BYTES; bytes++) {
    throws(() => decodeRunTail(tail.slice(tail.length - bytes), bytes, PATH), isDamage)
    throws(() => decodeRunTail(tail.slice(0, bytes), bytes, PATH), isDamage)
  }
  ok(tail.length === RUN_TAIL_BYTES)
})
