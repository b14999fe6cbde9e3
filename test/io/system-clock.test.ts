// The machine's clock and chance.

import { execFileSync } from "node:child_process"
import { SystemClock, SystemRandom } from "@varve/engines/internal"
import { expect, test } from "vitest"

test("a sleep lasts as long as it should, an aborted one ends at once", async () => {
  const clock = new SystemClock()
  const start = clock.monotonicMs()
  await clock.sleep(20)
  const slept = clock.monotonicMs() - start
  expect(slept).toBeGreaterThanOrEqual(18)
  const controller = new AbortController()
  const sleep = clock.sleep(60_000, controller.signal)
  controller.abort()
  await sleep
  await clock.sleep(60_000, controller.signal)
  expect(clock.monotonicMs() - start).toBeLessThan(30_000)
})

test("a sleep longer than a timer can be does not end at once", async () => {
  const clock = new SystemClock()
  const warnings: Error[] = []
  process.on("warning", (warning) => warnings.push(warning))
  let hasEnded = false
  const controller = new AbortController()
  const sleep = clock.sleep(2 ** 40, controller.signal).then(() => {
    hasEnded = true
  })
  await clock.sleep(20)
  expect(hasEnded).toBe(false)
  // Node says so when a timer is set for longer than it can be.
  expect(warnings).toEqual([])
  controller.abort()
  await sleep
})

test("a sleep that somebody waits for keeps the process alive, an idle one does not", () => {
  const program = `
    import { SystemClock } from "@varve/engines/internal"
    const clock = new SystemClock()
    void clock.sleep(60_000, undefined, "idle")
    await clock.sleep(20)
    process.stdout.write("done")`
  const options = { cwd: new URL("../..", import.meta.url), timeout: 20_000, encoding: "utf8" } as const
  expect(execFileSync(process.execPath, ["--input-type=module", "-e", program], options)).toBe("done")
})

test("nextTurn lets timers and I/O have their chance", async () => {
  let hadTurn = false
  setImmediate(() => {
    hadTurn = true
  })
  await new SystemClock().nextTurn()
  expect(hadTurn).toBe(true)
})

test("random bytes are as many as asked for, and new each time", () => {
  const random = new SystemRandom()
  expect(random.bytes(0)).toHaveLength(0)
  expect(random.bytes(16)).toHaveLength(16)
  expect(random.bytes(16)).not.toEqual(random.bytes(16))
})
