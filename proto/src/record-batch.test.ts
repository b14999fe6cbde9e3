import { expect, test } from "vitest"
import { isVarveError } from "./errors.ts"
import {
  decodeKeys,
  decodeOperation,
  decodeRecords,
  decodeValues,
  encodeKeys,
  encodeRecords,
  encodeValues,
  READ_FLAG,
  RecordCursor,
  RecordWriter,
} from "./record-batch.ts"

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const hex = (list: Uint8Array): string => Buffer.from(list).toString("hex")

test("records: bytes on the wire are pinned", () => {
  const records = [
    { key: bytes("a"), value: bytes("xyz") },
    { key: bytes("b"), value: bytes("") },
  ]
  expect(hex(encodeRecords(records))).toBe("010300" + "61" + "78797a" + "010000" + "62")
  expect(hex(encodeKeys([bytes("a"), bytes("b")]))).toBe("01000061" + "01000062")
  expect(hex(encodeValues([bytes("xyz"), undefined, bytes("q")]))).toBe("0378797a" + "00" + "0171")
})

test("records: lengths at every border of a uvarint come back", () => {
  const records = [1, 127, 128, 16_383, 16_384, 65_535].flatMap((keyBytes) =>
    [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152].map((valueBytes) => ({
      key: new Uint8Array(keyBytes).fill(7),
      value: new Uint8Array(valueBytes).fill(9),
    })),
  )
  const decoded = decodeRecords(encodeRecords(records))
  expect(decoded.length).toBe(records.length)
  for (const [index, { key, value }] of decoded.entries()) {
    expect(Buffer.compare(key, records[index]!.key)).toBe(0)
    expect(Buffer.compare(value, records[index]!.value)).toBe(0)
  }
})

test("records: a batch cut off anywhere inside a record is malformed", () => {
  const batch = encodeRecords([{ key: bytes("key"), value: new Uint8Array(200) }])
  for (let end = 1; end < batch.length; end++) expectMalformed(() => decodeRecords(batch.subarray(0, end)))
})

test("records: an empty key, a key too long, flags, a uvarint that is not shortest or too long are malformed", () => {
  expectMalformed(() => decodeRecords(Buffer.from("000000", "hex")))
  expectMalformed(() => decodeRecords(Buffer.concat([Buffer.from("80800400", "hex"), Buffer.alloc(65_536)])))
  for (const flags of [1, 2, 4, 8, 0x80])
    expectMalformed(() => decodeRecords(Uint8Array.of(1, 0, flags, 0x61)))
  expectMalformed(() => decodeRecords(Buffer.from("81000000" + "61", "hex")))
  expectMalformed(() => decodeRecords(Buffer.from("81000000", "hex")))
  expectMalformed(() => decodeRecords(Buffer.from("018000" + "0061", "hex")))
  expectMalformed(() => decodeRecords(Buffer.from("01ffffffff0f00" + "61", "hex")))
})

test("keys: a record with a value is no key", () => {
  expectMalformed(() => decodeKeys(encodeRecords([{ key: bytes("a"), value: bytes("x") }])))
  expect(decodeKeys(encodeKeys([bytes("a"), bytes("bc")])).map(hex)).toEqual(["61", "6263"])
})

test("operations: reads and writes are told apart, and the bytes are pinned", () => {
  const writer = new RecordWriter()
  writer.addRead(bytes("a"))
  writer.add(bytes("b"), bytes("xyz"))
  const list = writer.take()
  expect(hex(list)).toBe("010080" + "61" + "010300" + "62" + "78797a")
  const cursor = new RecordCursor()
  expect(decodeOperation(list, 0, list.length, cursor)).toBe(true)
  expect({ ...cursor }).toEqual({ start: 0, flags: READ_FLAG, keyStart: 3, keyEnd: 4, valueStart: 4, end: 4 })
  expect(decodeOperation(list, 4, list.length, cursor)).toBe(true)
  expect({ ...cursor }).toEqual({ start: 4, flags: 0, keyStart: 7, keyEnd: 8, valueStart: 8, end: 11 })
  for (let end = 4; end < list.length; end++) expect(decodeOperation(list, 4, end, cursor)).toBe(false)
  const copied = new RecordWriter()
  copied.copy(list, 4, 11)
  copied.copy(list, 0, 4)
  expect([hex(copied.written), copied.count]).toEqual(["01030062" + "78797a" + "01008061", 2])
})

test("operations: an empty key and unknown flags are left to who applies them, malformed lengths are not", () => {
  const cursor = new RecordCursor()
  const decoded = (text: string) => decodeOperation(Buffer.from(text, "hex"), 0, text.length / 2, cursor)
  expect([decoded("000000"), cursor.keyEnd - cursor.keyStart]).toEqual([true, 0])
  expect([decoded("0100ff61"), cursor.flags]).toEqual([true, 0xff])
  for (const text of ["", "01", "0100", "010000", "81000061", "01800061", "ffffffff0f0000"]) {
    expect(decoded(text), text).toBe(false)
  }
})

test("values: not found is undefined, and a list cut off is malformed", () => {
  const list = encodeValues([bytes("x"), undefined, new Uint8Array(300)])
  expect(decodeValues(list).map((value) => value?.length)).toEqual([1, undefined, 300])
  for (let end = 4; end < list.length; end++) expectMalformed(() => decodeValues(list.subarray(0, end)))
})

test("writer: a key that is empty or too long is refused, and what was added stays whole", () => {
  const writer = new RecordWriter()
  writer.add(bytes("a"), bytes("1"))
  expect(() => writer.add(new Uint8Array(0), bytes("2"))).toThrow("at least 1 byte")
  expect(() => writer.addKey(new Uint8Array(65_536))).toThrow("65536 bytes")
  writer.add(bytes("b"), bytes("3"))
  expect(writer.count).toBe(2)
  const taken = writer.take()
  expect(decodeRecords(taken).map(({ key }) => hex(key))).toEqual(["61", "62"])
  expect([writer.count, writer.bytes]).toEqual([0, 0])
})

test("writer: bytes that were taken are not touched by later records", () => {
  const writer = new RecordWriter()
  writer.add(bytes("a"), bytes("1"))
  const taken = writer.take()
  const before = hex(taken)
  writer.add(bytes("z"), bytes("9"))
  expect(hex(taken)).toBe(before)
})

function expectMalformed(decode: () => unknown): void {
  let thrown: unknown
  try {
    decode()
  } catch (error) {
    thrown = error
  }
  expect(isVarveError(thrown, "RECORD_MALFORMED")).toBe(true)
}
