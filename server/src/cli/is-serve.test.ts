import { expect, test } from "vitest"
import { isServe } from "./is-serve.ts"

test.each([
  ["serve", true],
  ["serve --data-dir get", true],
  ["get serve", false],
  ["--help serve", false],
  ["serve --help", false],
  ["serve -h", false],
  ["-V serve", false],
  ["serve --version", false],
  ["", false],
])("is serve: %s: %s", (line, runs) => {
  expect(isServe(line.split(" "))).toBe(runs)
})
