// One encoding for wire, log and runs: what is written comes back, what is malformed is told apart, and no bytes
// make the decoder read outside of its bounds.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import fc from "fast-check"
import { test } from "vitest"
import {
  decodeRecord,
  encodeRecord,
  encodeRecordHeader,
  KEY_BYTES_MAX,
  peekRecordBytes,
  RECORD_HEADER_BYTES_MAX,
  RecordCursor,
  recordBytes,
  skipPadding,
  VALUE_BYTES_MAX,
} from "./record.ts"

const key = fc.uint8Array({ minLength: 1, maxLength: 300 })
const value = fc.uint8Array({ minLength: 0, maxLength: 20_000, size: "medium" })

function decode(bytes: Uint8Array, offset = 0, end = bytes.length): RecordCursor | undefined {
  const cursor = new RecordCursor()
  return decodeRecord(bytes, offset, end, cursor) ? cursor : undefined
}

test("record: bytes are pinned", () => {
  const hex = (k: string, v: string): string =>
    Buffer.from(encodeRecord(Buffer.from(k), Buffer.from(v))).toString("hex")
  strictEqual(hex("a", "xyz"), "0103006178797a")
  strictEqual(hex("k", ""), "0100006b")
  strictEqual(hex("k".repeat(128), "v".repeat(16_384)).slice(0, 12), "80018080010" + "0")
  const longest = new Uint8Array(RECORD_HEADER_BYTES_MAX)
  const end = encodeRecordHeader(longest, 0, KEY_BYTES_MAX, VALUE_BYTES_MAX - 1)
  strictEqual(Buffer.from(longest.subarray(0, end)).toString("hex"), "ffff03ffffff7f00")
})

test("record: what is encoded comes back, wherever it lies, and its length is known before", () => {
  fc.assert(
    fc.property(key, value, fc.nat(20), (k, v, offset) => {
      const record = encodeRecord(k, v)
      strictEqual(record.length, recordBytes(k.length, v.length))
      const bytes = new Uint8Array(offset + record.length + 7).fill(0xee)
      bytes.set(record, offset)
      const cursor = decode(bytes, offset)
      ok(cursor !== undefined)
      deepStrictEqual(bytes.slice(cursor.keyStart, cursor.keyEnd), k)
      deepStrictEqual(bytes.slice(cursor.valueStart, cursor.end), v)
      strictEqual(cursor.start, offset)
      strictEqual(cursor.end, offset + record.length)
      strictEqual(cursor.isTombstone, v.length === 0)
      strictEqual(peekRecordBytes(bytes, offset, offset + cursor.keyStart - offset), record.length)
    }),
  )
})

test("record: lengths at every border of their encoding", () => {
  for (const keyBytes of [1, 127, 128, 16_383, 16_384, KEY_BYTES_MAX]) {
    for (const valueBytes of [0, 1, 127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21]) {
      const record = encodeRecord(new Uint8Array(keyBytes).fill(1), new Uint8Array(valueBytes))
      const cursor = decode(record)
      ok(cursor !== undefined)
      strictEqual(cursor.keyEnd - cursor.keyStart, keyBytes)
      strictEqual(cursor.end - cursor.valueStart, valueBytes)
      strictEqual(peekRecordBytes(record, 0, RECORD_HEADER_BYTES_MAX), record.length)
    }
  }
})

test("record: no part of a record is a record", () => {
  fc.assert(
    fc.property(key, fc.uint8Array({ maxLength: 200 }), (k, v) => {
      const record = encodeRecord(k, v)
      for (let end = 0; end < record.length; end++) strictEqual(decode(record, 0, end), undefined)
    }),
  )
})

test("record: any bytes are a record within bounds that encodes to the same bytes, or none", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(10), (bytes, offset) => {
      const start = Math.min(offset, bytes.length)
      const cursor = decode(bytes, start)
      if (cursor === undefined) return
      ok(start < cursor.keyStart && cursor.keyStart < cursor.keyEnd && cursor.keyEnd <= cursor.end)
      ok(cursor.end <= bytes.length)
      strictEqual(peekRecordBytes(bytes, start, bytes.length), cursor.end - start)
      if (cursor.flags !== 0) return
      const again = encodeRecord(
        bytes.slice(cursor.keyStart, cursor.keyEnd),
        bytes.slice(cursor.valueStart, cursor.end),
      )
      deepStrictEqual(again, bytes.slice(start, cursor.end))
    }),
    { numRuns: 2000 },
  )
})

const malformed: Record<string, string> = {
  "empty key": "00030061",
  "key length not in shortest form": "81000000",
  "key length over 65 535": "80800400",
  "key length that does not end": "80808080",
  "value length not in shortest form": "0180000061",
  "value length over the limit": `01${"818080"}${"80"}01`,
  "value length that does not end": "0180808080",
  "unknown flag": "01000861",
  "expiry that is cut": "0100040000000000",
}
for (const [what, hex] of Object.entries(malformed)) {
  test(`record: ${what} is no record`, () => {
    strictEqual(
      decode(Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(what.includes("cut") ? 0 : 64, 1)])),
      undefined,
    )
    if (what.includes("cut")) return
    strictEqual(peekRecordBytes(Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(64, 1)]), 0, 64), -1)
  })
}

test("record: an expiry is stepped over", () => {
  const bytes = Buffer.from("0101" + "04" + "010203040506" + "6b" + "76", "hex")
  const cursor = decode(bytes)
  strictEqual(cursor?.flags, 4)
  strictEqual(bytes[cursor!.keyStart], 0x6b)
  strictEqual(bytes[cursor!.valueStart], 0x76)
  strictEqual(cursor?.end, bytes.length)
  strictEqual(peekRecordBytes(bytes, 0, 3), bytes.length)
})

test("record: padding is skipped up to the next record or the end", () => {
  const bytes = Buffer.from("0000000103", "hex")
  strictEqual(skipPadding(bytes, 0, 5), 3)
  strictEqual(skipPadding(bytes, 0, 2), 2)
  strictEqual(skipPadding(bytes, 4, 5), 4)
})
