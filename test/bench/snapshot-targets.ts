// What versions and restores set out to cost, beside what was measured. What was not measured is said to be so.

import type { TargetFigure } from "./engine-figures.ts"
import { median, quotient } from "./rounds.ts"
import type { SnapshotCaseFigures } from "./snapshot-figures.ts"

const SEAL_P99_MS = 1
const RATIO_MEDIAN = 1.2
const RATIO_WORST = 1.5
/** A pack and a manifest. */
const OBJECTS = 2
const TIMES_FULL = 20
const ANSWER_MS = 100
/** At ten times as many keys. */
const ANSWER_GROWTH = 2
const LATENCY_GROWTH = 2
const TIMES_PUBLISHED = 10

/** Recovery as the original work has published it, in ms, at so many keys. */
const PUBLISHED_KEYS = 1_000_000
const published = { "lsm-tree": 297, "hybrid-log": 1488, "append-log": 1500 } as const

type Case = SnapshotCaseFigures

/** All targets, in a fixed order. */
export function snapshotTargets(all: readonly Case[], usualKeys: number): TargetFigure[] {
  const cases = all.filter(({ subject }) => subject.deduplication)
  const own = cases.filter(({ subject }) => !subject.isBaseline)
  const usual = own.filter(({ keys }) => keys === usualKeys)
  return [
    ...own.map((each) => target(each, "seal, p99 in ms", each.seals?.p99Ms, SEAL_P99_MS)),
    ...usual.flatMap((each) => [
      target(each, "bytes of a version, median", each.increments?.ratioMedian, RATIO_MEDIAN),
      target(each, "bytes of a version, worst", each.increments?.ratioWorst, RATIO_WORST),
      target(each, "objects of a version", each.increments?.objectsMedian, OBJECTS),
      target(each, "full version, times a small one's time", timesFull(each), TIMES_FULL, "at least"),
      target(each, "reads under versions, p99 times quiet", growth(each, "readP99Ms"), LATENCY_GROWTH),
      target(each, "writes under versions, p99 times quiet", growth(each, "writeP99Ms"), LATENCY_GROWTH),
    ]),
    ...cases
      .filter(({ keys }) => keys === usualKeys)
      .map((each) => target(each, "first answer after a kill, ms", answerMs(each), ANSWER_MS)),
    ...cases
      .filter(({ keys }) => keys === 10 * usualKeys)
      .map((each) => {
        const small = cases.find(
          ({ subject, keys }) => subject.name === each.subject.name && keys === usualKeys,
        )
        const times = quotient(answerMs(each), small === undefined ? undefined : answerMs(small))
        return target(each, "first answer after a kill, times that of a tenth", times, ANSWER_GROWTH)
      }),
    ...usual
      .filter(({ keys }) => keys === PUBLISHED_KEYS)
      .map((each) => {
        const original = published[each.subject.engine as keyof typeof published]
        const times = quotient(original, answerMs(each))
        return target(each, "published recovery, times the first answer", times, TIMES_PUBLISHED, "at least")
      }),
  ]
}

/** Median over the openings; undefined when none was measured. */
function answerMs({ restores }: Case): number | undefined {
  return restores === undefined ? undefined : median(restores.map((round) => round.answerMs))
}

function timesFull({ full, increments }: Case): number | undefined {
  return quotient(full.ms, increments?.msMedian)
}

function growth({ latency }: Case, figure: "readP99Ms" | "writeP99Ms"): number | undefined {
  return quotient(latency?.busy[figure], latency?.quiet[figure])
}

function target(
  { subject, keys }: Case,
  what: string,
  measured: number | undefined,
  bound: number,
  sense: "at least" | "at most" = "at most",
): TargetFigure {
  const met = measured === undefined ? null : sense === "at most" ? measured <= bound : measured >= bound
  return {
    target: `${subject.name} ${what}`,
    at: `${keys} keys`,
    measured: measured ?? null,
    bound,
    sense,
    met,
  }
}
