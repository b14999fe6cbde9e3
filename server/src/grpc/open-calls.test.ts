import { deepStrictEqual, strictEqual } from "node:assert"
import { test } from "vitest"
import { CALL_BYTES, OpenCalls } from "./open-calls.ts"

const CALLS_MAX = 60

/** As many calls as a connection that comes now may open. */
function openAll(calls: OpenCalls): number {
  const connection = {}
  let taken = 0
  while (calls.begin(connection)) taken++
  calls.end(connection)
  return taken
}

test("one connection may have all; the next ones have their shares, and together they end at twice the limit", () => {
  const calls = new OpenCalls(CALLS_MAX * CALL_BYTES)
  deepStrictEqual(
    [1, 2, 3, 4].map(() => openAll(calls)),
    [60, 30, 20, 10],
  )
  strictEqual(calls.count, 2 * CALLS_MAX)
})
