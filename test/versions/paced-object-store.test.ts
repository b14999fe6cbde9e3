// Reading within a budget: what is spent, what is waited for, and what that leaves of the time that was measured.

import { DrillHold, type ObjectStore, PacedObjectStore } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedClock } from "../simulation/index.ts"

const MIB = 1024 * 1024
/** Of each request. */
const REQUEST_MS = 10
const OBJECTS = 32

function paced(bytesPerSecond: number): { store: PacedObjectStore; clock: SimulatedClock; asked: string[] } {
  const clock = new SimulatedClock({ autoAdvance: true })
  const asked: string[] = []
  const source: ObjectStore = {
    url: "test:",
    get: async (key) => {
      asked.push(key)
      await clock.sleep(REQUEST_MS)
      return new Uint8Array(MIB / 4)
    },
    list: async () => [],
    create: () => Promise.reject(new Error("nothing is written")),
    remove: () => Promise.reject(new Error("nothing is removed")),
    close: async () => undefined,
  }
  const hold = new DrillHold()
  return { store: new PacedObjectStore(source, { bytesPerSecond, hold, clock }), clock, asked }
}

const keys = Array.from({ length: OBJECTS }, (_, i) => `object-${i}`)

test("paced: reading keeps to the budget, all but the last burst of a second", async () => {
  const { store, clock } = paced(2 * MIB)
  for (const key of keys) await store.get(key)
  // 8 MiB, of which 6 have been paid for.
  expect(store.bytesRead).toBe(8 * MIB)
  expect(clock.monotonicMs()).toBeGreaterThanOrEqual(3000)
  expect(clock.monotonicMs()).toBeLessThan(4500)
})

test("paced: what waits for the budget is no time of the store", async () => {
  const { store, clock } = paced(MIB)
  for (const key of keys) await store.get(key)
  expect(clock.monotonicMs() - store.pausedMs).toBeCloseTo(OBJECTS * REQUEST_MS, 6)
  expect(store.pausedMs).toBeGreaterThan(6000)
})

test("paced: without a budget nothing waits, and requests are made in the order in which they were asked", async () => {
  const { store, asked } = paced(0)
  await Promise.all(keys.map((key) => store.get(key)))
  expect(store.pausedMs).toBe(0)
  expect(asked).toEqual(keys)
})
