import { expect, test } from "vitest"
import { Backoff } from "./backoff.ts"

test("backoff: bounds double up to the limit, pauses lie anywhere below, and a success starts anew", () => {
  let fraction = 1
  const backoff = new Backoff(10, 60, () => fraction)
  expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([10, 20, 40, 60, 60])
  fraction = 0.5
  expect(backoff.next()).toBe(30)
  backoff.reset()
  expect(backoff.next()).toBe(5)
  fraction = 0
  expect(backoff.next()).toBe(0)
})
