import { deepStrictEqual, ok } from "node:assert"
import fc from "fast-check"
import { test } from "vitest"
import { addUp, type Family } from "../metrics/families.ts"
import { ShardFigures } from "./shard-figures.ts"

function family(type: string, value: number): Family {
  return { name: `a_${type}`, help: "A.", type, samples: [`a_${type}`], values: Float64Array.of(value) }
}

function thread(counted: number, room: number): Family[] {
  return [family("counter", counted), family("histogram", counted), family("gauge", room)]
}

/** As the page sums it. */
function page(figures: ShardFigures): Record<string, number> {
  return Object.fromEntries(addUp(figures.families).map(({ name, values }) => [name, values[0]!]))
}

test("shard figures: what was counted outlives the threads, what was measured does not", () => {
  const figures = new ShardFigures()
  deepStrictEqual(page(figures), {})
  figures.answered(thread(3, 100))
  figures.answered(thread(5, 70))
  deepStrictEqual(page(figures), { a_counter: 5, a_histogram: 5, a_gauge: 70 })
  figures.ended()
  deepStrictEqual(page(figures), { a_counter: 5, a_histogram: 5 })
  // One that dies before it has answered adds nothing.
  figures.ended()
  figures.answered(thread(2, 30))
  deepStrictEqual(page(figures), { a_counter: 7, a_histogram: 7, a_gauge: 30 })
  for (let life = 0; life < 3; life++) {
    figures.ended()
    figures.answered(thread(1, 10))
  }
  deepStrictEqual(page(figures), { a_counter: 10, a_histogram: 10, a_gauge: 10 })
  // However often it has died.
  deepStrictEqual(figures.families.length, 3)
})

test("shard figures: an answer that comes late takes nothing back", () => {
  const figures = new ShardFigures()
  figures.answered(thread(5, 70))
  figures.answered(thread(4, 80))
  deepStrictEqual(page(figures), { a_counter: 5, a_histogram: 5, a_gauge: 80 })
})

/** What happens to one of some shards: its thread counts on and answers, or dies. */
const event = fc.record({
  shard: fc.nat({ max: 3 }),
  // As seconds of calls: fractions whose sums depend on their order.
  counted: fc.oneof(
    fc.nat({ max: 999_999_999 }).map((count) => count / 1e9),
    fc.nat({ max: 1e6 }).map((count) => count / 1000),
  ),
  dies: fc.boolean(),
})

test("shard figures: whatever dies when, no sum of the page becomes less, not by one bit", () => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 60 }), (events) => {
      const shards = Array.from({ length: 4 }, () => ({ figures: new ShardFigures(), ofThread: 0 }))
      let all = 0
      let before = 0
      for (const { shard, counted, dies } of events) {
        const own = shards[shard]!
        own.ofThread += counted
        all += counted
        own.figures.answered([family("histogram", own.ofThread)])
        const [sum] = pageOf(shards)
        ok(sum! >= before, `${sum} after ${before}`)
        before = sum!
        if (!dies) continue
        own.figures.ended()
        own.ofThread = 0
        deepStrictEqual(pageOf(shards), [before])
      }
      ok(Math.abs(before - all) < 1e-9 * all + 1e-12, `${before} of ${all}`)
    }),
    { seed: 20_261_121, numRuns: 300 },
  )
})

/** The only sample of these shards on a page. */
function pageOf(shards: readonly { readonly figures: ShardFigures }[]): number[] {
  return addUp(shards.flatMap(({ figures }) => figures.families)).flatMap(({ values }) => [...values])
}
