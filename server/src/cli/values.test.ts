import { InvalidArgumentError } from "commander"
import { expect, test } from "vitest"
import { UsageError } from "./exit-codes.ts"
import {
  beginning,
  bytesText,
  collectPartitions,
  countText,
  parseBytes,
  printable,
  secondsText,
  textOf,
  timeText,
  wholeNumber,
} from "./values.ts"

test("values: arguments are UTF-8, or hex digits with --hex", () => {
  expect(parseBytes("é", false, "key")).toEqual(Buffer.from([0xc3, 0xa9]))
  expect(parseBytes("00fFa1", true, "key")).toEqual(Buffer.from([0, 0xff, 0xa1]))
  expect(parseBytes("", true, "key")).toEqual(Buffer.alloc(0))
})

test.each(["0", "0g", "0x00", "00 11", "é"])("values: %j is no hex and is refused, not cut", (text) => {
  expect(() => parseBytes(text, true, "key")).toThrow(UsageError)
})

test.each(["", "0", "-1", "1.5", "1e3", "0x10", "6", " 5", "99999999999999999999"])(
  "values: %j is no whole number from 1 to 5",
  (text) => {
    expect(() => wholeNumber(1, 5)(text)).toThrow(InvalidArgumentError)
  },
)

test("values: the ends of a range are whole numbers of it", () => {
  expect(wholeNumber(1, 5)("1")).toBe(1)
  expect(wholeNumber(1, 5)("5")).toBe(5)
  expect(wholeNumber(1, Number.MAX_SAFE_INTEGER)("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER)
})

test("values: partitions come repeated or with commas", () => {
  expect(collectPartitions("3", collectPartitions("0,1", undefined))).toEqual([0, 1, 3])
  expect(() => collectPartitions("0,", undefined)).toThrow(InvalidArgumentError)
})

test("values: bytes that are no UTF-8 are no text", () => {
  expect(textOf(Buffer.from("ä€\u{1f600}"))).toBe("ä€\u{1f600}")
  expect(textOf(Buffer.from([0xff]))).toBeUndefined()
  expect(textOf(Buffer.from("\ufeffa"))).toBe("\ufeffa")
})

test("values: what is printed has one line and can be told apart", () => {
  expect(printable(Buffer.from("a\tb\nc\\"), false)).toBe("a\\x09b\\x0ac\\\\")
  expect(printable(Buffer.from("ä"), false)).toBe("ä")
  expect(printable(Buffer.from([0x61, 0xff, 0x5c, 0x0a]), false)).toBe("a\\xff\\\\\\x0a")
  expect(printable(Buffer.from([0x61, 0xff]), true)).toBe("61ff")
})

test("values: the beginning of bytes is text when all of them are, else hex, and says that there is more", () => {
  expect(beginning(Buffer.from("offset 42"), 40, false)).toBe("offset 42")
  expect(beginning(Buffer.from("äöü€"), 3, false)).toBe("äöü…")
  expect(beginning(Buffer.from("a\nb"), 3, false)).toBe("a\\x0ab")
  expect(beginning(Buffer.from([0xff, 1, 2]), 4, false)).toBe("ff01…")
  expect(beginning(Buffer.from("a"), 4, true)).toBe("61")
  expect(beginning(Buffer.alloc(0), 4, false)).toBe("")
})

test("values: sizes, durations and times for people", () => {
  expect([0, 1023, 1024, 4 * 1024 * 1024, 5 * 2 ** 40].map(bytesText)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "4.0 MiB",
    "5120.0 GiB",
  ])
  expect([0, 1, 2n].map((count) => countText(count, "pack"))).toEqual(["0 packs", "1 pack", "2 packs"])
  expect([0.00006, 0.25, 2.5].map(secondsText)).toEqual(["0.06 ms", "250 ms", "2.5 s"])
  expect(timeText(0n)).toBe("-")
  expect(timeText(86_400_000n)).toBe("1970-01-02T00:00:00.000Z")
})
