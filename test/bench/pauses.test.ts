// Figures of turns of the event loop, from made-up times.

import { deepStrictEqual } from "node:assert"
import { test } from "vitest"
import { turnFigures } from "./pauses.ts"

test("pauses: what the collector took of a turn is taken off that turn alone", () => {
  // Turns of 1, 10, 4 and 1 ms; a collection of 9 ms inside the second, another over the end of the third.
  const starts = Float64Array.of(100, 101, 111, 115, 116)
  const collections = [
    { startTime: 101.5, duration: 9 },
    { startTime: 114.5, duration: 1 },
  ]
  deepStrictEqual(turnFigures(starts, collections), {
    turns: 4,
    p99Ms: 10,
    maxMs: 10,
    maxWithoutCollectorMs: 3.5,
    collectorMaxMs: 9,
  })
})

test("pauses: no turn, no figure", () => {
  const none = { turns: 0, p99Ms: 0, maxMs: 0, maxWithoutCollectorMs: 0, collectorMaxMs: 0 }
  deepStrictEqual(turnFigures(Float64Array.of(5), []), none)
})
