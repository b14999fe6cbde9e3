// The figures of the `engines` suite as tables for people. A dash: not measured, or the contender cannot tell.

import { engineNames } from "@varve/engines"
import type { CaseFigures, TargetFigure } from "./engine-figures.ts"
import { placeOf, rateOf } from "./engine-targets.ts"
import { median } from "./rounds.ts"
import { table } from "./table.ts"

const peers = ["rocksdb", "lmdb", "classic-level"] as const

/** All that was measured in one case. */
export function caseLines(figures: CaseFigures): string[] {
  const { oneReadNs, twoReadsNs } = figures.machine
  return [
    "",
    `-- ${placeOf(figures)}`,
    `   the machine by itself: ${median(oneReadNs).toFixed(0)} ns for a random read, ` +
      `${median(twoReadsNs).toFixed(0)} ns for two that depend on one another`,
    "",
    ...rateLines(figures),
    "",
    ...spaceLines(figures),
    ...pauseLines(figures),
  ]
}

function rateLines(figures: CaseFigures): string[] {
  const twoReadsNs = median(figures.machine.twoReadsNs)
  const rows = figures.rates.map(({ workload, contender, rounds }) => {
    if (rounds.length === 0) return [workload, contender]
    const rate = median(rounds)
    const isOurs = (engineNames as readonly string[]).includes(contender)
    return [
      workload,
      contender,
      Math.round(rate / 1000).toString(),
      `${Math.round(Math.min(...rounds) / 1000)}–${Math.round(Math.max(...rounds) / 1000)}`,
      (1e9 / rate).toFixed(0),
      `${(1e9 / rate / twoReadsNs).toFixed(1)}×`,
      ...peers.map((peer) => times(rate, isOurs ? rateOf(figures, workload, peer) : undefined)),
    ]
  })
  const head = [
    "workload",
    "",
    "1000 ops/s",
    "range",
    "ns",
    "÷ two reads",
    ...peers.map((peer) => `÷ ${peer}`),
  ]
  return table(head, rows, 2)
}

function spaceLines({ loads, amplification }: CaseFigures): string[] {
  const rows = Object.entries(loads).map(([name, load]) => [
    name,
    load.indexBytesPerKey?.toFixed(1),
    load.residentBytesPerKey?.toFixed(0),
    amplification[name]?.writeAmplification?.toFixed(2),
    amplification[name]?.spaceAmplification?.toFixed(2),
  ])
  const head = ["", "index bytes/key", "resident bytes/key", "write amplification", "space amplification"]
  return table(head, rows, 1)
}

function pauseLines({ pauses }: CaseFigures): string[] {
  const rows = Object.entries(pauses).map(([name, figure]) => [
    name,
    figure.p99Ms.toFixed(2),
    figure.maxMs.toFixed(2),
    figure.maxWithoutCollectorMs.toFixed(2),
    figure.collectorMaxMs.toFixed(2),
    figure.merges.toString(),
    figure.waits.toString(),
    figure.longestWaitMs.toFixed(1),
  ])
  if (rows.length === 0) return []
  const head = [
    "pauses, ms",
    "p99",
    "longest",
    "without collector",
    "collector",
    "merges",
    "waits",
    "longest wait",
  ]
  return ["", ...table(head, rows, 1)]
}

/** Target, measured, met. */
export function targetLines(targets: readonly TargetFigure[]): string[] {
  const rows = targets.map(({ target, at, measured, bound, sense, met }) => [
    target,
    measured?.toFixed(2),
    `${sense} ${bound}`,
    met === null ? "not measured" : met ? "met" : "missed",
    at,
  ])
  return table(["target", "measured", "bound", "", "at"], rows, 1)
}

function times(rate: number, peer: number | undefined): string | undefined {
  return peer === undefined ? undefined : `${(rate / peer).toFixed(1)}×`
}
