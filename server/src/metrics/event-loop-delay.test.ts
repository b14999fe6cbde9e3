import { deepStrictEqual, strictEqual } from "node:assert"
import { test } from "vitest"
import { delayBoundsMs, EventLoopDelay, TICK_MS } from "./event-loop-delay.ts"

/** Counts by bound, those above 0. */
function countsOf(delay: EventLoopDelay): Record<string, number> {
  const bounds = [...delayBoundsMs, "longer"]
  return Object.fromEntries(delay.counts.flatMap((count, i) => (count === 0 ? [] : [[bounds[i]!, count]])))
}

test("a tick in time, or early, is no delay", () => {
  const delay = new EventLoopDelay()
  for (const elapsed of [TICK_MS, TICK_MS + 1, TICK_MS - 3]) delay.tick(elapsed)
  deepStrictEqual(countsOf(delay), { 1: 3 })
  strictEqual(delay.sumMs, 1)
})

test("a loop that was held counts once for each tick that should have come meanwhile, each less late", () => {
  const delay = new EventLoopDelay()
  delay.tick(TICK_MS + 70)
  // Late by 70, 50, 30 and 10.
  deepStrictEqual(countsOf(delay), { 10: 1, 50: 2, 100: 1 })
  strictEqual(delay.sumMs, 160)
})

test("half of a time in which the loop was held for the other half is seen as half of the moments", () => {
  const delay = new EventLoopDelay()
  delay.tick(1000)
  for (let elapsed = 0; elapsed < 1000; elapsed += TICK_MS) delay.tick(TICK_MS)
  strictEqual(countsOf(delay)[1], 50)
  strictEqual(
    delay.counts.reduce((sum, count) => sum + count, 0),
    99,
  )
})

test("a machine that was asleep counts as a minute", () => {
  const delay = new EventLoopDelay()
  delay.tick(24 * 60 * 60 * 1000)
  strictEqual(
    delay.counts.reduce((sum, count) => sum + count, 0),
    60_000 / TICK_MS,
  )
})
