// The choice of a merge, case by case.

import { deepStrictEqual, strictEqual, throws } from "node:assert"
import { test } from "vitest"
import { planMerge } from "./merge-policy.ts"

/** Runs as `level.run`. */
function plan(runs: readonly string[], maxRunsPerLevel: number): string | undefined {
  const figures = runs.map((name) => ({ level: Number(name.split(".")[0]), run: Number(name.split(".")[1]) }))
  const found = planMerge(figures, { maxRunsPerLevel })
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

test("merge policy: tombstones are dropped exactly when no older run is outside the merge", () => {
  strictEqual(plan(["0.9", "0.8"], 2), "0.9 0.8 -> L1 drops")
  strictEqual(plan(["0.9", "1.5", "1.4"], 2), "1.5 1.4 -> L2 drops")
  strictEqual(plan(["0.9", "0.8", "5.1"], 2), "0.9 0.8 -> L1")
})

test("merge policy: it leaves the list as it was, and one run a level is refused", () => {
  const runs = [
    { level: 0, run: 1 },
    { level: 0, run: 2 },
  ]
  planMerge(runs, { maxRunsPerLevel: 2 })
  deepStrictEqual(
    runs.map(({ run }) => run),
    [1, 2],
  )
  throws(() => planMerge(runs, { maxRunsPerLevel: 1 }))
})
