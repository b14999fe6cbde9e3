// Durations: what is understood, what is not, and that what is printed can be read back.

import { deepStrictEqual, strictEqual } from "node:assert"
import { test } from "vitest"
import { formatDuration, parseDuration } from "./duration.ts"

test("durations: a number and a unit", () => {
  deepStrictEqual(
    ["0", "0s", "250ms", "90s", "15m", "36h", "7d", "2w"].map(parseDuration),
    [0, 0, 250, 90_000, 900_000, 129_600_000, 604_800_000, 1_209_600_000],
  )
  for (const text of ["", "7", "d", "-1d", "1.5h", "7 d", "7D", "1h30m", "1e3s", "9".repeat(13), "1y"]) {
    strictEqual(parseDuration(text), undefined, text)
  }
})

test("durations: what is printed is read as the same", () => {
  const printed = ["0", "250ms", "90s", "15m", "36h", "7d", "14d"]
  deepStrictEqual(
    printed.map((text) => formatDuration(parseDuration(text)!)),
    printed,
  )
  strictEqual(formatDuration(1_209_600_000), "14d")
})
