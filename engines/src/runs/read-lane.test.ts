import { expect, test } from "vitest"
import { READS_AT_ONCE_MAX, ReadLane } from "./read-lane.ts"

test("no more than the limit read at once, and those that wait go on in the order in which they came", async () => {
  const lane = new ReadLane()
  for (let i = 0; i < READS_AT_ONCE_MAX; i++) expect(lane.enter()).toBeUndefined()
  const order: number[] = []
  const waiting = Array.from({ length: 5000 }, async (_, i) => {
    await lane.enter()
    order.push(i)
    expect(lane.underWay).toBe(READS_AT_ONCE_MAX)
    lane.leave()
  })
  expect(lane.waitingCount).toBe(5000)
  for (let i = 0; i < 10; i++) await Promise.resolve()
  expect(order).toEqual([])
  lane.leave()
  await Promise.all(waiting)
  expect(order).toEqual(Array.from({ length: 5000 }, (_, i) => i))
  for (let i = 1; i < READS_AT_ONCE_MAX; i++) lane.leave()
  expect([lane.underWay, lane.waitingCount]).toEqual([0, 0])
  expect(lane.enter()).toBeUndefined()
})
