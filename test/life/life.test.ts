// Lives of a repository, of every engine and of pairs of them, beside a model: never wrong, nothing lost, nothing left.
// A seed that failed is lived again with VARVE_LIFE_SEED and VARVE_LIFE_STEPS; `npm run life` lives longer.

import { describe, expect, test } from "vitest"
import { expectNoUnhandledRejections } from "../engines/no-unhandled-rejections.ts"
import { enginePairs, live, pairOf } from "./live.ts"

const STEPS = Number(process.env["VARVE_LIFE_STEPS"] ?? 130)
const ONE_SEED = process.env["VARVE_LIFE_SEED"]
/** One of each pair, of which it is known that together they meet all that may happen. */
const SEEDS = ONE_SEED === undefined ? enginePairs.map((_, i) => i + 98) : [Number(ONE_SEED)]

const totals = new Map<string, number>()

describe("a repository through writes, versions, restores, kills, takeovers, outages and collections", () => {
  expectNoUnhandledRejections()

  test.each(SEEDS.map((seed) => [pairOf(seed).join(" and "), seed] as const))(
    "%s, seed %i: holds what was promised, and in the end nothing else",
    async (_, seed) => {
      for (const [what, count] of await live(seed, STEPS)) totals.set(what, (totals.get(what) ?? 0) + count)
    },
  )

  test.runIf(ONE_SEED === undefined)("all of it happened, or the tests above prove nothing", () => {
    const things = [
      "opened: new",
      "opened: continued",
      "opened: replayed",
      "opened: crashed",
      "opened: overtaken",
    ]
    const acts = [
      "versions",
      "versions removed",
      "restores",
      "restores taken back",
      "fenced",
      "kills",
      "power losses",
    ]
    const rest = [
      "calls that the network failed",
      "packs removed",
      "packs rewritten",
      "packs condemned",
      "complete versions put back",
    ]
    for (const what of [...things, ...acts, ...rest]) expect(totals.get(what), what).toBeGreaterThan(0)
  })
})
