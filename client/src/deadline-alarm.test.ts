import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { DeadlineAlarm } from "./deadline-alarm.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test("alarm: rings at the earliest deadline, then at the one that the ring names, and not once cleared", () => {
  const rings: number[] = []
  const startMs = performance.now()
  let next = startMs + 100
  const alarm = new DeadlineAlarm((nowMs) => {
    rings.push(Math.round(nowMs - startMs))
    const answer = next
    next = Number.POSITIVE_INFINITY
    return answer
  })
  alarm.set(startMs + 80)
  alarm.set(startMs + 30)
  alarm.set(startMs + 50)
  vi.advanceTimersByTime(29)
  expect(rings).toEqual([])
  vi.advanceTimersByTime(200)
  expect(rings).toEqual([30, 100])
  alarm.set(performance.now() + 10)
  alarm.clear()
  vi.advanceTimersByTime(1000)
  expect(rings.length).toBe(2)
  expect(vi.getTimerCount()).toBe(0)
})
