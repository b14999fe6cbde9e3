// What the wire sets out to reach, beside what was measured. What was not measured is said to be so.

import type { TargetFigure } from "./engine-figures.ts"
import { median, quotient } from "./rounds.ts"
import type { BatchPeerRow, CallRound, WireRow } from "./wire-figures.ts"
import { VALUE_BYTES } from "./workload.ts"

const CALLERS = 512
const PIPELINED_RATIO = 6
const BATCH_RATIO = 1
const LATENCY_RATIO = 1.5
const P99_MS = 5
const SESSION_SHARE = 0.05

/** All targets, in a fixed order. */
export function wireTargets(
  rows: readonly WireRow[],
  redisBenchmark: readonly BatchPeerRow[],
): TargetFigure[] {
  const row = (workload: string, contender: string, callers: number): WireRow | undefined =>
    rows.find(
      (each) =>
        each.workload === workload &&
        each.contender === contender &&
        each.callers === callers &&
        each.valueBytes === VALUE_BYTES,
    )
  const batchRow = (workload: string): WireRow | undefined =>
    rows.find(
      (each) => each.workload === workload && each.contender === "varve" && each.valueBytes === VALUE_BYTES,
    )
  const batchPeer = (workload: string): number | undefined => {
    const rates = redisBenchmark.find(
      (each) => each.workload === workload && each.valueBytes === VALUE_BYTES,
    )?.rates
    return rates === undefined || rates.length === 0 ? undefined : median(rates)
  }
  const targets: TargetFigure[] = []
  for (const workload of ["set", "get", "mixed"]) {
    const [own, peer] = [row(workload, "varve", CALLERS), row(workload, "ioredis", CALLERS)]
    const ratio = quotient(rateOf(own), rateOf(peer))
    targets.push(atLeast(`${workload}, ${CALLERS} callers, times ioredis`, ratio, PIPELINED_RATIO))
  }
  for (const [workload, command] of [
    ["write", "set"],
    ["getMany", "get"],
  ] as const) {
    const ratio = quotient(rateOf(batchRow(workload)), batchPeer(command))
    targets.push(atLeast(`${workload} of 256, times redis-benchmark`, ratio, BATCH_RATIO))
  }
  for (const workload of ["set", "get"]) {
    const [own, peer] = [row(workload, "varve-unix", 1), row(workload, "ioredis-unix", 1)]
    const ratio = quotient(medianOf(own, "p50Ms"), medianOf(peer, "p50Ms"))
    targets.push(
      atMost(`${workload}, one at a time on a Unix socket, p50 over that of ioredis`, ratio, LATENCY_RATIO),
    )
  }
  for (const workload of ["set", "get"]) {
    const own = medianOf(row(`paced-${workload}`, "varve", 0), "p99Ms")
    targets.push(atMost(`${workload} at half of the best rate, p99, ms`, own, P99_MS))
  }
  const [own, without] = [row("set", "varve", CALLERS), row("set", "varve-sessionless", CALLERS)]
  const share = shareOfSessions(own, without)
  targets.push(atMost(`set, ${CALLERS} callers, processor time of sessions, share`, share, SESSION_SHARE))
  return targets
}

/** Records a second, the median of the rounds. */
export function rateOf(row: WireRow | undefined): number | undefined {
  if (row === undefined || row.rounds.length === 0) return undefined
  return median(row.rounds.map(({ operations, seconds }) => operations / seconds))
}

/** The median over rounds of what both sides take for a record, against the same without: a slow round slows both. */
function shareOfSessions(own: WireRow | undefined, without: WireRow | undefined): number | undefined {
  if (own === undefined || without === undefined || own.rounds.length === 0) return undefined
  return median(own.rounds.map((round, index) => cpuOf(round) / cpuOf(without.rounds[index]!))) - 1
}

/** Processor seconds of both sides for a record: steadier than the rate where something else runs. */
function cpuOf({ clientCpuSeconds, serverCpuSeconds, operations }: CallRound): number {
  return (clientCpuSeconds + serverCpuSeconds) / operations
}

/** The median of one figure of the rounds. */
export function medianOf(row: WireRow | undefined, figure: keyof CallRound): number | undefined {
  if (row === undefined || row.rounds.length === 0) return undefined
  return median(row.rounds.map((round) => round[figure]))
}

/** The best median rate of a workload over all numbers of callers; 1 when there is none. */
export function bestRate(
  rows: readonly WireRow[],
  contender: string,
  workload: string,
  valueBytes: number,
): number {
  const rates = rows
    .filter(
      (row) => row.contender === contender && row.workload === workload && row.valueBytes === valueBytes,
    )
    .map((row) => rateOf(row) ?? 0)
  return Math.max(1, ...rates)
}

function atLeast(target: string, measured: number | undefined, bound: number): TargetFigure {
  const met = measured === undefined ? null : measured >= bound
  return { target, at: placeOf(measured), measured: measured ?? null, bound, sense: "at least", met }
}

function atMost(target: string, measured: number | undefined, bound: number): TargetFigure {
  const met = measured === undefined ? null : measured <= bound
  return { target, at: placeOf(measured), measured: measured ?? null, bound, sense: "at most", met }
}

function placeOf(measured: number | undefined): string {
  return measured === undefined ? "" : `${VALUE_BYTES}-byte values`
}
