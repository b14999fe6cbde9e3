// What Varve sets out to reach, beside what was measured. A target is read off the largest case that has what it
// needs; what was not measured is said to be so.

import type { CaseFigures, TargetFigure } from "./engine-figures.ts"
import { median, quotient } from "./rounds.ts"

/** Engine, workload, peer, and how many times the peer's rate the engine's is to be, at least. */
const ratios = [
  ["hybrid-log", "set", "rocksdb", 10],
  ["hybrid-log", "get", "rocksdb", 10],
  ["hybrid-log", "set", "lmdb", 5],
  ["hybrid-log", "get", "lmdb", 5],
  ["append-log", "set", "rocksdb", 5],
  ["append-log", "get", "rocksdb", 5],
  ["lsm-tree", "set", "rocksdb", 4],
  ["lsm-tree", "get", "rocksdb", 2],
] as const

const BATCH_RATIO = 1.5
const SLOWDOWN_RATIO = 1.5
const PAUSE_MS = 5
/** Ratios to peers are promised at this size: processor and caches weigh alike there. */
const RATIO_KEYS = 1_000_000

/** All targets, in a fixed order. */
export function engineTargets(cases: readonly CaseFigures[]): TargetFigure[] {
  const inMemory = cases.filter(({ memory }) => memory === "all").toSorted((a, b) => a.keys - b.keys)
  const usual = inMemory.find(({ keys }) => keys === RATIO_KEYS) ?? inMemory.at(-1)
  const largest = inMemory.at(-1)
  return [
    ...ratios.map(([engine, workload, peer, bound]) =>
      atLeast(
        `${engine} ${workload}, times ${peer}`,
        usual,
        quotient(rateOf(usual, workload, engine), rateOf(usual, workload, peer)),
        bound,
      ),
    ),
    ...["hybrid-log", "append-log"].map((engine) =>
      atLeast(
        `${engine} getMany of 256, times get`,
        largest,
        quotient(rateOf(largest, "getMany", engine), rateOf(largest, "get", engine)),
        BATCH_RATIO,
      ),
    ),
    slowdownTarget(inMemory),
    ...pauseTargets(cases),
  ]
}

/** Median rate in operations per second; undefined when it was not measured. */
export function rateOf(
  figures: CaseFigures | undefined,
  workload: string,
  contender: string,
): number | undefined {
  const row = figures?.rates.find((rate) => rate.workload === workload && rate.contender === contender)
  return row === undefined || row.rounds.length === 0 ? undefined : median(row.rounds)
}

function slowdownTarget(inMemory: readonly CaseFigures[]): TargetFigure {
  const small = inMemory.at(0)
  const large = inMemory.at(-1)
  const name = "hybrid-log get, slowdown with size, times the slowdown of one bare random read"
  if (small === undefined || large === undefined || small === large)
    return atMost(name, "", undefined, SLOWDOWN_RATIO)
  const own = quotient(rateOf(small, "get", "hybrid-log"), rateOf(large, "get", "hybrid-log"))
  const bare = median(large.machine.oneReadNs) / median(small.machine.oneReadNs)
  return atMost(name, `${small.keys} to ${large.keys} keys`, quotient(own, bare), SLOWDOWN_RATIO)
}

function pauseTargets(cases: readonly CaseFigures[]): TargetFigure[] {
  const engines = ["append-log", "hybrid-log", "lsm-tree"]
  return engines.map((engine) => {
    const name = `${engine} longest pause while merges run, ms`
    // Without a merge nothing was measured.
    const measured = cases.filter(({ pauses }) => (pauses[engine]?.merges ?? 0) > 0)
    const worst = measured.toSorted((a, b) => b.pauses[engine]!.maxMs - a.pauses[engine]!.maxMs)[0]
    return atMost(name, worst === undefined ? "" : placeOf(worst), worst?.pauses[engine]?.maxMs, PAUSE_MS)
  })
}

/** Words for a case. */
export function placeOf({ keys, memory, budgetBytes }: CaseFigures): string {
  return `${keys} keys, ${memory === "all" ? "in memory" : `within ${budgetBytes / 2 ** 20} MiB`}`
}

function atLeast(
  target: string,
  figures: CaseFigures | undefined,
  measured: number | undefined,
  bound: number,
): TargetFigure {
  const at = figures === undefined || measured === undefined ? "" : placeOf(figures)
  const met = measured === undefined ? null : measured >= bound
  return { target, at, measured: measured ?? null, bound, sense: "at least", met }
}

function atMost(target: string, at: string, measured: number | undefined, bound: number): TargetFigure {
  const met = measured === undefined ? null : measured <= bound
  return {
    target,
    at: measured === undefined ? "" : at,
    measured: measured ?? null,
    bound,
    sense: "at most",
    met,
  }
}
