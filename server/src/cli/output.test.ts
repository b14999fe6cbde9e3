import { expect, test } from "vitest"
import { table, toJson } from "./output.ts"

test("output: 64-bit numbers are numbers while they are exact", () => {
  expect(toJson({ a: 7n, b: 2n ** 53n - 1n, c: 2n ** 53n }, false)).toBe(
    '{"a":7,"b":9007199254740991,"c":"9007199254740992"}',
  )
})

test("output: bytes are text when they are UTF-8, else hex, and always hex when asked", () => {
  const message = { key: Buffer.from("a"), values: [Buffer.from([0xff]), new Uint8Array()] }
  expect(toJson(message, false)).toBe('{"key":"a","values":[{"hex":"ff"},""]}')
  expect(toJson(message, true)).toBe('{"key":{"hex":"61"},"values":[{"hex":"ff"},{"hex":""}]}')
})

test("output: maps, nothing and nested messages", () => {
  expect(toJson({ map: new Map([["k", 1n]]), none: undefined, inner: { ok: true } }, false)).toBe(
    '{"map":{"k":1},"inner":{"ok":true}}',
  )
})

test("output: a table has one line for each row", () => {
  const lines = table(
    ["name", "count"],
    [
      ["a", 1n],
      ["b", 22],
    ],
  ).split("\n")
  expect(lines).toHaveLength(6)
  expect(lines[3]).toMatch(/│ a +│ 1 +│/)
})
