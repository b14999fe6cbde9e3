import { expect, test } from "vitest"
import { parseAddress } from "./address.ts"
import { UsageError } from "./exit-codes.ts"

test.each([
  ["localhost", "localhost:7400"],
  ["[::1]", "[::1]:7400"],
  ["127.0.0.1:1", "127.0.0.1:1"],
  ["[::1]:65535", "[::1]:65535"],
  ["unix:/run/varve.sock", "unix:/run/varve.sock"],
])("address: %s means %s", (given, meant) => {
  expect(parseAddress(given)).toBe(meant)
})

test.each(["", "http://127.0.0.1:7400", "a:0", "a:65536", "a:b", "::1", "unix:", "a b", "a/b"])(
  "address: %j is refused",
  (given) => {
    expect(() => parseAddress(given)).toThrow(UsageError)
    expect(() => parseAddress(given)).toThrow("is not HOST, HOST:PORT or unix:PATH")
  },
)
