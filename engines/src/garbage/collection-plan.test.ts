import { expect, test } from "vitest"
import { packBytes } from "../snapshots/pack.ts"
import { planCollection } from "./collection-plan.ts"
import { LiveChunks } from "./live-chunks.ts"
import type { Marks } from "./mark.ts"

const PACK = "0123456789abcdef0123456789abcdef"
const LENGTH = 10

/** A repository with one pack of four short chunks, of which the first `live` are needed. */
function marksOf(live: number): Marks {
  const chunks = new LiveChunks()
  for (let i = 0; i < live; i++) chunks.add(i * LENGTH, LENGTH)
  const object = { key: `packs/records/${PACK}.pack`, bytes: packBytes(4, 4 * LENGTH), modifiedMs: 0 }
  return {
    packs: new Map([[PACK, { object, live: chunks }]]),
    moved: new Map(),
    forwarded: new Set(),
    condemned: new Map(),
    condemnedNotes: new Map(),
    manifestCount: 1,
    imageCount: 0,
    probes: [],
    superseded: [],
  }
}

test.each([
  [4, 1, []],
  [3, 1, [PACK]],
  [3, 0.7, []],
  [2, 0.7, [PACK]],
  [2, 0, []],
])("collection plan: of a pack with %i of 4 chunks needed, at liveMin %f", (live, liveMin, rewrite) => {
  const plan = planCollection(marksOf(live), { graceMs: 1, liveMin, nowMs: 10 })
  expect(plan.rewrite).toEqual(rewrite)
  expect(plan.condemn).toEqual([])
})

test("collection plan: a pack that nothing needs is condemned", () => {
  const plan = planCollection(marksOf(0), { graceMs: 1, liveMin: 0.5, nowMs: 10 })
  expect(plan.rewrite).toEqual([])
  expect(plan.condemn).toEqual([PACK])
})
