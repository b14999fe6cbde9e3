import { deepStrictEqual, rejects, strictEqual } from "node:assert"
import { test } from "vitest"
import { longBoundsMs } from "../base/duration-counts.ts"
import { measuredObjectStore } from "./measured-object-store.ts"
import type { ObjectStore } from "./object-store.ts"
import { RequestFigures, requestOperations } from "./request-figures.ts"

/** Counts by bound, those above 0. */
function countsOf(figures: RequestFigures, operation: (typeof requestOperations)[number]): object {
  const bounds = [...longBoundsMs, "longer"]
  const { counts } = figures.of(operation)
  return Object.fromEntries(counts.flatMap((count, i) => (count === 0 ? [] : [[bounds[i]!, count]])))
}

test("request figures: several over one memory count together, each operation for itself", () => {
  const here = new RequestFigures()
  const there = new RequestFigures(here.memory)
  here.ended("get", 0.2, 100)
  there.ended("get", 40_000, 23)
  there.failed("list", 5)
  there.retried("list")
  deepStrictEqual(countsOf(here, "get"), { 0.25: 1, longer: 1 })
  deepStrictEqual([here.of("get").bytes, here.of("get").ms], [123, 40_000.2])
  deepStrictEqual(
    requestOperations.map((each) => [here.of(each).failureCount, here.of(each).retryCount]),
    [
      [0, 0],
      [0, 0],
      [1, 1],
      [0, 0],
    ],
  )
  deepStrictEqual(countsOf(here, "list"), { 5: 1 })
  deepStrictEqual(countsOf(here, "remove"), {})
})

test("measured object store: bytes that came and went, what failed, and how long the caller waited", async () => {
  let nowMs = 0
  const objects = new Map<string, Uint8Array>()
  const store: ObjectStore = {
    url: "test:",
    get: async (key) => {
      nowMs += 30
      return objects.get(key)
    },
    create: async (key, parts) => {
      nowMs += 7
      if (objects.has(key)) return false
      objects.set(key, Buffer.concat(parts))
      return true
    },
    list: async () => {
      nowMs += 200
      throw new Error("no answer")
    },
    remove: async (key) => {
      objects.delete(key)
    },
    close: async () => objects.clear(),
  }
  const figures = new RequestFigures()
  const measured = measuredObjectStore(store, figures, { monotonicMs: () => nowMs })
  strictEqual(await measured.create("a", [Buffer.alloc(10), Buffer.alloc(5)]), true)
  strictEqual(await measured.create("a", [Buffer.alloc(99)]), false)
  strictEqual((await measured.get("a"))?.length, 15)
  strictEqual(await measured.get("b"), undefined)
  await rejects(measured.list(""), /no answer/)
  await measured.remove("a")
  deepStrictEqual(
    requestOperations.map((each) => [
      each,
      figures.of(each).bytes,
      figures.of(each).ms,
      countsOf(figures, each),
    ]),
    [
      ["get", 15, 60, { 50: 2 }],
      ["create", 15, 14, { 10: 2 }],
      ["list", 0, 200, { 250: 1 }],
      ["remove", 0, 0, { 0.25: 1 }],
    ],
  )
  strictEqual(figures.of("list").failureCount, 1)
})
