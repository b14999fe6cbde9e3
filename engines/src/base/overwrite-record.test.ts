import { describe, expect, it } from "vitest"
import { overwriteRecord } from "./overwrite-record.ts"
import { decodeRecord, encodeRecord, RecordCursor } from "./record.ts"

const KEY = Buffer.from("key")
const NEXT = encodeRecord(Buffer.from("next"), Buffer.from("record"))

/** A record with a value of so many bytes, padding, and another record behind it; overwritten with a new value. */
function overwrite(valueBytes: number, paddingBytes: number, newBytes: number, slotEndMax?: number) {
  const record = encodeRecord(KEY, Buffer.alloc(valueBytes, "o"))
  const bytes = Buffer.concat([record, Buffer.alloc(paddingBytes), NEXT])
  const before = Buffer.from(bytes)
  const cursor = new RecordCursor()
  decodeRecord(bytes, 0, bytes.length, cursor)
  const source = Buffer.from(`<${"n".repeat(newBytes)}>`)
  const slotEnd = slotEndMax ?? bytes.length
  const isDone = overwriteRecord(bytes, cursor, slotEnd, source, 1, 1 + newBytes)
  return { isDone, bytes, before, nextAt: record.length + paddingBytes }
}

/** What must lie there: the new record, zeros up to the next one, and that untouched. */
function expected(newBytes: number, nextAt: number): Buffer {
  const record = encodeRecord(KEY, Buffer.alloc(newBytes, "n"))
  return Buffer.concat([record, Buffer.alloc(nextAt - record.length), NEXT])
}

describe("overwriting a record", () => {
  // 127 and 128: the length of the value takes one byte more, and the key moves.
  it.each([
    ["as long", 10, 0, 10],
    ["shorter", 10, 0, 3],
    ["no value", 10, 2, 0],
    ["longer, into all of the padding", 10, 5, 15],
    ["longer, into some of the padding", 10, 5, 12],
    ["longer, with a longer header", 127, 2, 128],
    ["shorter, with a shorter header", 128, 0, 127],
    ["of nothing", 0, 3, 3],
  ])("%s: it is in place, and the rest is padding", (_, valueBytes, paddingBytes, newBytes) => {
    const { isDone, bytes, nextAt } = overwrite(valueBytes, paddingBytes, newBytes)
    expect(isDone).toBe(true)
    expect(bytes).toEqual(expected(newBytes, nextAt))
  })

  it.each([
    ["the next record", 10, 5, 16, undefined],
    ["the next record, by a longer header", 127, 1, 128, undefined],
    ["the end of the slot", 10, 5, 13, 18],
  ])("what would reach into %s changes nothing", (_, valueBytes, paddingBytes, newBytes, slotEndMax) => {
    const { isDone, bytes, before } = overwrite(valueBytes, paddingBytes, newBytes, slotEndMax)
    expect(isDone).toBe(false)
    expect(bytes).toEqual(before)
  })
})
