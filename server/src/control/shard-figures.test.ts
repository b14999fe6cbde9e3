import { deepStrictEqual } from "node:assert"
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
  deepStrictEqual(figures.families.length, 5)
})
