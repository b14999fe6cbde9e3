// The figures of the `wire` suite as tables for people. A dash: not measured.

import { targetLines } from "./engine-tables.ts"
import { median } from "./rounds.ts"
import { table } from "./table.ts"
import type { WireFigures, WireRow } from "./wire-figures.ts"
import { medianOf, rateOf } from "./wire-targets.ts"

const HEAD = [
  "workload",
  "",
  "callers",
  "1000 ops/s",
  "range",
  "offered",
  "p50 ms",
  "p99 ms",
  "p99.9 ms",
  "client µs/op",
  "server µs/op",
  "client MiB",
  "server MiB",
]

/** All that was measured. */
export function wireLines({ rows, redisBenchmark, targets }: WireFigures): string[] {
  const sizes = [...new Set(rows.map(({ valueBytes }) => valueBytes))]
  return [
    ...sizes.flatMap((valueBytes) => [
      "",
      `-- values of ${valueBytes} bytes`,
      "",
      ...table(
        HEAD,
        [
          ...rows
            .filter((row) => row.valueBytes === valueBytes)
            .toSorted(byWorkload)
            .map(cellsOf),
          ...redisBenchmark
            .filter((row) => row.valueBytes === valueBytes)
            .map(({ workload, rates }) => [workload, "redis-benchmark", undefined, ...ratesOf(rates)]),
        ],
        2,
      ),
    ]),
    "",
    ...targetLines(targets),
  ]
}

function cellsOf(row: WireRow): (string | undefined)[] {
  const rates = row.rounds.map(({ operations, seconds }) => operations / seconds)
  const operations = row.rounds.reduce((sum, round) => sum + round.operations, 0)
  const microseconds = (figure: "clientCpuSeconds" | "serverCpuSeconds"): string =>
    ((1e6 * row.rounds.reduce((sum, round) => sum + round[figure], 0)) / operations).toFixed(2)
  const mebibytes = (figure: "clientResidentBytes" | "serverResidentBytes"): string | undefined =>
    ((medianOf(row, figure) ?? 0) / 2 ** 20).toFixed(0)
  return [
    row.workload,
    row.contender,
    row.callers === 0 ? undefined : String(row.callers),
    ...ratesOf(rates),
    row.offeredRate === undefined ? undefined : thousandsOf(row.offeredRate),
    medianOf(row, "p50Ms")?.toFixed(3),
    medianOf(row, "p99Ms")?.toFixed(3),
    medianOf(row, "p999Ms")?.toFixed(3),
    microseconds("clientCpuSeconds"),
    microseconds("serverCpuSeconds"),
    mebibytes("clientResidentBytes"),
    mebibytes("serverResidentBytes"),
  ]
}

function ratesOf(rates: readonly number[]): [string, string] {
  return [thousandsOf(median(rates)), `${thousandsOf(Math.min(...rates))}–${thousandsOf(Math.max(...rates))}`]
}

function thousandsOf(rate: number): string {
  return (rate / 1000).toFixed(rate < 100_000 ? 1 : 0)
}

/** Workloads and numbers of callers together, contenders beside one another. */
function byWorkload(a: WireRow, b: WireRow): number {
  const order = ["set", "get", "mixed", "write", "getMany", "paced-set", "paced-get"]
  return (
    order.indexOf(a.workload) - order.indexOf(b.workload) ||
    a.callers - b.callers ||
    (rateOf(b) ?? 0) - (rateOf(a) ?? 0)
  )
}
