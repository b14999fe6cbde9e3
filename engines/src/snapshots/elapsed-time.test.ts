import { expect, test } from "vitest"
import { ElapsedTime } from "./elapsed-time.ts"

test("elapsed time is what the clock says that went on, whether the machine slept or its time was set back", () => {
  let wallMs = 1000
  let monotonicMs = 7
  const elapsed = new ElapsedTime({ nowMs: () => wallMs, monotonicMs: () => monotonicMs })
  wallMs += 500
  expect(elapsed.ms()).toBe(500)
  wallMs -= 800
  monotonicMs += 40
  expect(elapsed.ms()).toBe(540)
  wallMs += 10
  monotonicMs += 10
  expect(elapsed.ms()).toBe(550)
})
