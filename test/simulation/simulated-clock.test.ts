import { expect, test } from "vitest"
import { SimulatedClock, SimulatedRandom } from "./index.ts"

test("sleepers wake in the order of their moments, and see the time of their moment", async () => {
  const clock = new SimulatedClock()
  const woken: string[] = []
  for (const ms of [30, 10, 20])
    void clock.sleep(ms).then(() => woken.push(`${ms} at ${clock.monotonicMs()}`))
  await clock.advance(25)
  expect(woken).toEqual(["10 at 10", "20 at 20"])
  expect(clock.monotonicMs()).toBe(25)
  await clock.advance(5)
  expect(woken[2]).toBe("30 at 30")
  expect(clock.sleeperCount).toBe(0)
})

test("one that sleeps again and again wakes each time within one advance", async () => {
  const clock = new SimulatedClock()
  const moments: number[] = []
  const loop = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      await clock.sleep(10)
      moments.push(clock.monotonicMs())
    }
  }
  const done = loop()
  await clock.advance(100)
  await done
  expect(moments).toEqual([10, 20, 30])
})

test("an aborted sleep ends at once, and leaves no sleeper", async () => {
  const clock = new SimulatedClock()
  const controller = new AbortController()
  const sleep = clock.sleep(1000, controller.signal)
  controller.abort()
  await sleep
  await clock.sleep(1000, controller.signal)
  expect(clock.monotonicMs()).toBe(0)
  expect(clock.sleeperCount).toBe(0)
})

test("with autoAdvance a sleep moves the time and takes a turn of the event loop", async () => {
  const clock = new SimulatedClock({ autoAdvance: true })
  const before = clock.nowMs()
  let hadTurn = false
  setImmediate(() => {
    hadTurn = true
  })
  await clock.sleep(5000)
  expect(clock.nowMs() - before).toBe(5000)
  expect(hadTurn).toBe(true)
})

test("random numbers of a seed are pinned, and within their bound", () => {
  const random = new SimulatedRandom(1)
  expect([random.next(), random.next(), random.next()]).toMatchInlineSnapshot(`
    [
      1930539107,
      2003999907,
      2883482671,
    ]
  `)
  const counts = [0, 0, 0]
  for (let draw = 0; draw < 3000; draw++) counts[random.integer(3)]!++
  for (const count of counts) expect(count).toBeGreaterThan(900)
  expect(random.bytes(16)).toHaveLength(16)
  expect(random.bytes(16)).not.toEqual(random.bytes(16))
})
