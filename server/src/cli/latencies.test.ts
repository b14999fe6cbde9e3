import { expect, test } from "vitest"
import { Latencies } from "./latencies.ts"

test("latencies: a percentile is the smallest that the share does not exceed", () => {
  const latencies = new Latencies(100)
  for (let i = 100; i >= 1; i--) latencies.add(i)
  expect([0, 0.01, 0.5, 0.99, 0.999, 1].map((p) => latencies.percentile(p))).toEqual([1, 1, 50, 99, 100, 100])
})

test("latencies: later ones are sorted in", () => {
  const latencies = new Latencies(3)
  latencies.add(5)
  expect(latencies.percentile(1)).toBe(5)
  latencies.add(1)
  expect(latencies.percentile(0.5)).toBe(1)
})

test("latencies: none gives 0, and what exceeds the capacity is not kept", () => {
  const latencies = new Latencies(1)
  expect(latencies.percentile(0.5)).toBe(0)
  latencies.add(1)
  latencies.add(9)
  expect(latencies.count).toBe(1)
  expect(latencies.percentile(1)).toBe(1)
})
