// The choice of a merge, case by case.

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert"
import { test } from "vitest"
import { mergeDebt, planMerge } from "./merge-policy.ts"

/** Runs as `level.run` or `level.run.bytes`; a run of level 0 has 100 bytes. */
function figuresOf(runs: readonly string[]): { level: number; run: number; bytes: number }[] {
  return runs.map((name) => {
    const [level, run, bytes] = name.split(".").map(Number)
    return { level: level!, run: run!, bytes: bytes ?? 0 }
  })
}

function plan(runs: readonly string[], maxRunsPerLevel: number): string | undefined {
  const found = planMerge(figuresOf(runs), { maxRunsPerLevel, levelBytes: 100 })
  if (found === undefined) return undefined
  const inputs = found.inputs.map(({ level, run }) => `${level}.${run}`).join(" ")
  return `${inputs} -> L${found.outputLevel}${found.dropsTombstones ? " drops" : ""}`
}

test("merge policy: nothing while no level is full", () => {
  strictEqual(plan([], 2), undefined)
  strictEqual(plan(["0.1"], 2), undefined)
  strictEqual(plan(["0.9", "0.8", "1.7", "1.4", "2.1"], 3), undefined)
})

test("merge policy: a full level merges whole, newest first, into the next one", () => {
  strictEqual(plan(["0.7", "0.9", "0.8", "1.4"], 3), "0.9 0.8 0.7 -> L1")
  strictEqual(plan(["0.7", "0.9", "0.8", "0.6", "1.4"], 3), "0.9 0.8 0.7 0.6 -> L1")
})

test("merge policy: the lowest full level comes first", () => {
  strictEqual(plan(["1.5", "1.4", "0.9", "0.8", "2.1"], 2), "0.9 0.8 -> L1")
  strictEqual(plan(["1.5", "1.4", "0.9", "2.1"], 2), "1.5 1.4 -> L2")
})

test("merge debt: the runs of all levels that are due, and no others", () => {
  const debt = (runs: readonly string[], maxRunsPerLevel: number): object =>
    mergeDebt(figuresOf(runs), { maxRunsPerLevel, levelBytes: 100 })
  deepStrictEqual(debt(["0.9.10", "0.8.10", "1.7.300"], 3), { runs: 0, bytes: 0 })
  deepStrictEqual(debt(["0.9.10", "0.8.20", "1.7.300", "1.6.100", "2.1.7000"], 2), { runs: 4, bytes: 430 })
  // Levelling: the two of level 0 go with the run of level 1; one of level 2 that fits its level is not due.
  deepStrictEqual(debt(["0.9.100", "0.8.100", "1.7.200", "2.1.7000"], 1), { runs: 3, bytes: 400 })
})

test("merge policy: tombstones are dropped exactly when no older run is outside the merge", () => {
  strictEqual(plan(["0.9", "0.8"], 2), "0.9 0.8 -> L1 drops")
  strictEqual(plan(["0.9", "1.5", "1.4"], 2), "1.5 1.4 -> L2 drops")
  strictEqual(plan(["0.9", "0.8", "5.1"], 2), "0.9 0.8 -> L1")
})

test("merge policy, levelling: one run a level is left alone while it fits", () => {
  strictEqual(plan(["0.1.100"], 1), undefined)
  strictEqual(plan(["0.9.500", "1.8.1000", "2.7.10000"], 1), undefined)
})

test("merge policy, levelling: a second run of level 0 merges with the run of level 1", () => {
  strictEqual(plan(["0.1.100", "0.2.100"], 1), "0.2 0.1 -> L1 drops")
  strictEqual(plan(["0.9.100", "0.8.100", "1.5.800"], 1), "0.9 0.8 1.5 -> L1 drops")
  strictEqual(plan(["0.9.100", "0.8.100", "1.5.800", "2.4.3000"], 1), "0.9 0.8 1.5 -> L1")
})

test("merge policy, levelling: what outgrows its level merges into the next, as far as it goes", () => {
  strictEqual(plan(["0.9.100", "0.8.100", "1.5.801", "2.4.3000"], 1), "0.9 0.8 1.5 2.4 -> L2 drops")
  strictEqual(plan(["0.9.100", "1.5.1001", "2.4.9000", "3.1.5"], 1), "1.5 2.4 3.1 -> L3 drops")
  strictEqual(plan(["0.9.100", "1.5.1001", "2.4.8000", "3.1.5"], 1), "1.5 2.4 -> L2")
})

test("merge policy, levelling: runs that another policy has left in a level become one", () => {
  strictEqual(plan(["0.9.100", "2.5.10", "2.4.10", "3.1.5"], 1), "2.5 2.4 -> L2")
})

test("merge policy, levelling: no output goes to level 0", () => {
  ok(plan(["0.1.1", "0.2.1"], 1)!.includes("-> L1"))
})

test("merge policy: it leaves the list as it was, and levelling without a length is refused", () => {
  const runs = [
    { level: 0, run: 1, bytes: 1 },
    { level: 0, run: 2, bytes: 1 },
  ]
  planMerge(runs, { maxRunsPerLevel: 2 })
  deepStrictEqual(
    runs.map(({ run }) => run),
    [1, 2],
  )
  throws(() => planMerge(runs, { maxRunsPerLevel: 1 }))
})
