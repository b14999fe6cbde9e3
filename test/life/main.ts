// `npm run life -- --seeds 50 --steps 1000`: long lives, one after the other, until one fails or all are over. With
// `--daemons` they are lives of two daemons as processes.

import { parseArgs } from "node:util"
import { live, liveAsDaemons, pairOf } from "./live.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "50" },
    steps: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    daemons: { type: "boolean", default: false },
  },
})
const [seeds, steps, from] = [values.seeds, values.steps, values.from].map(Number) as [number, number, number]
const totals = new Map<string, number>()
for (let seed = from; seed < from + seeds; seed++) {
  const startedMs = performance.now()
  const counts = values.daemons ? await liveAsDaemons(seed, steps) : await live(seed, steps)
  for (const [what, count] of counts) totals.set(what, (totals.get(what) ?? 0) + count)
  const what = values.daemons ? "two daemons" : pairOf(seed).join(" and ")
  const ms = Math.round(performance.now() - startedMs)
  process.stdout.write(`seed ${seed}, ${what}: ${steps} steps, ${ms} ms, 0 differences\n`)
}
for (const [what, count] of [...totals].sort(([a], [b]) => (a < b ? -1 : 1)))
  process.stdout.write(`${count} ${what}\n`)
