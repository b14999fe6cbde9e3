// The figures of the `snapshots` suite as tables for people. A dash: not measured.

import { median } from "./rounds.ts"
import type { RestoreRound, SnapshotCaseFigures } from "./snapshot-figures.ts"
import { table } from "./table.ts"

type Case = SnapshotCaseFigures
type Cell = string | undefined

/** All that was measured. */
export function snapshotLines(cases: readonly Case[]): string[] {
  return [
    ...linesOf(cases, versionHead, versionCells, ({ increments }) => increments !== undefined),
    ...linesOf(cases, sealHead, sealCells, ({ seals }) => seals !== undefined),
    ...linesOf(cases, latencyHead, latencyCells, ({ latency }) => latency !== undefined),
    ...linesOf(cases, restoreHead, restoreCells, ({ restores }) => restores !== undefined),
  ]
}

function linesOf(
  cases: readonly Case[],
  head: readonly string[],
  cellsOf: (figures: Case) => Cell[],
  has: (figures: Case) => boolean,
): string[] {
  const rows = cases
    .filter(has)
    .map((figures) => [figures.subject.name, figures.keys.toString(), ...cellsOf(figures)])
  return rows.length === 0 ? [] : ["", ...table(head, rows, 1)]
}

const versionHead = [
  "1 % changed, ÷ bytes changed",
  "keys",
  "stored",
  "worst",
  "with merges",
  "objects",
  "ms",
  "worst",
  "merges",
  "full, MB",
  "ms",
]

function versionCells({ full, increments }: Case): Cell[] {
  return [
    increments?.ratioMedian.toFixed(2),
    increments?.ratioWorst.toFixed(2),
    increments?.uploadedRatio.toFixed(2),
    increments?.objectsMedian.toString(),
    increments?.msMedian.toFixed(0),
    increments?.msWorst.toFixed(0),
    increments?.mergeCount.toString(),
    (full.bytes / 1e6).toFixed(0),
    full.ms.toFixed(0),
  ]
}

const sealHead = ["seals, ms", "keys", "median", "p99", "longest"]

function sealCells({ seals }: Case): Cell[] {
  return [seals?.medianMs.toFixed(3), seals?.p99Ms.toFixed(3), seals?.maxMs.toFixed(3)]
}

const latencyHead = [
  "ms from when it was due",
  "keys",
  "read p50",
  "p99",
  "with versions",
  "write p50",
  "p99",
  "with versions",
  "versions",
  "merges",
]

function latencyCells({ latency }: Case): Cell[] {
  return [
    latency?.quiet.readMedianMs.toFixed(2),
    latency?.quiet.readP99Ms.toFixed(2),
    latency?.busy.readP99Ms.toFixed(2),
    latency?.quiet.writeMedianMs.toFixed(2),
    latency?.quiet.writeP99Ms.toFixed(2),
    latency?.busy.writeP99Ms.toFixed(2),
    latency?.busy.versions.toString(),
    latency?.busy.mergeCount.toString(),
  ]
}

const restoreHead = [
  "after a kill, ms",
  "keys",
  "opened",
  "first answer",
  "range",
  "from the process's start",
  "restored once more",
]

function restoreCells({ restores }: Case): Cell[] {
  const of = (figure: keyof RestoreRound): number[] => (restores ?? []).map((round) => round[figure])
  const answers = of("answerMs")
  return [
    median(of("openMs")).toFixed(0),
    median(answers).toFixed(0),
    `${Math.min(...answers).toFixed(0)}–${Math.max(...answers).toFixed(0)}`,
    median(of("processMs")).toFixed(0),
    median(of("restoreMs")).toFixed(0),
  ]
}
