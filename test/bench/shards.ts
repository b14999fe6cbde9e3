// One shard beside two, asked by one client and by two, each client in a process of its own, in rounds by turns; and what
// each shard adds to the start of a daemon. README.md says how to read the figures.

import { availableParallelism } from "node:os"
import { startDaemon, type TestDaemon } from "../server/daemon.ts"
import { ending } from "./endings.ts"
import { processCost } from "./process-cost.ts"
import { median } from "./rounds.ts"
import { killWithBenchmark, makeScratch } from "./scratch.ts"
import type { SuiteResult } from "./suite.ts"
import { table } from "./table.ts"
import type { CallRound } from "./wire-figures.ts"
import { startWireContender, type WireContender } from "./wire-group.ts"

const KEYS = 100_000
const VALUE_BYTES = 100
const ROUNDS = 5
const SECONDS = 1
const CALLERS = 256
const workloads = ["set", "get", "write", "getMany"] as const
const arrangements = [
  { shards: 1, clients: 1 },
  { shards: 1, clients: 2 },
  { shards: 2, clients: 1 },
  { shards: 2, clients: 2 },
] as const
/** Shards of daemons whose start is timed. */
const startedShards = [1, 2, 4] as const

/** The median round of one arrangement. */
export interface ShardsRow {
  readonly workload: string
  readonly shards: number
  readonly clients: number
  /** Records a second of all clients. */
  readonly perSecond: number
  /** Cores in use. */
  readonly daemonCores: number
  readonly clientCores: number
}

export interface ShardsFigures {
  readonly rows: readonly ShardsRow[]
  /** Milliseconds from the call of `varve serve` to its line "ready", the median. */
  readonly starts: readonly { readonly shards: number; readonly ms: number }[]
}

interface Arrangement {
  readonly shards: number
  readonly clients: number
  readonly pid: number
  readonly contenders: readonly WireContender[]
}

/** Runs the suite. */
export async function benchShards(): Promise<SuiteResult> {
  const starts: { shards: number; ms: number }[] = []
  for (const shards of startedShards) {
    const times: number[] = []
    for (let round = 0; round < ROUNDS; round++) times.push(await timeStart(shards))
    starts.push({ shards, ms: median(times) })
  }
  const stops: (() => Promise<void>)[] = []
  const rows: ShardsRow[] = []
  try {
    const daemons = new Map<number, TestDaemon>()
    for (const shards of [1, 2]) daemons.set(shards, await start(shards, stops))
    const all: Arrangement[] = []
    for (const { shards, clients } of arrangements) {
      const { grpc: address, pid } = daemons.get(shards)!
      const contenders: WireContender[] = []
      all.push({ shards, clients, pid, contenders })
      for (let client = 0; client < clients; client++) {
        const contender = await startWireContender("varve", { address, pid }, KEYS, VALUE_BYTES)
        contenders.push(contender)
        stops.push(() => contender.close())
      }
    }
    for (const workload of workloads) rows.push(...(await measure(workload, all)))
  } finally {
    for (const stop of stops.reverse()) await stop()
  }
  const figures: ShardsFigures = { rows, starts }
  const cores = availableParallelism()
  const parameters = { KEYS, VALUE_BYTES, CALLERS, ROUNDS, SECONDS, cores }
  return { suite: "shards", parameters, lines: linesOf(figures), figures }
}

async function start(shards: number, stops: (() => Promise<void>)[]): Promise<TestDaemon> {
  const scratch = makeScratch("daemon")
  const daemon = await startDaemon({ directory: scratch.path, flags: ["--shards", String(shards)] })
  const ended = killWithBenchmark(daemon.pid)
  stops.push(
    ending(async () => {
      await daemon.stop()
      ended()
      await scratch.remove()
    }),
  )
  return daemon
}

async function timeStart(shards: number): Promise<number> {
  const stops: (() => Promise<void>)[] = []
  const startedMs = performance.now()
  try {
    await start(shards, stops)
    return performance.now() - startedMs
  } finally {
    for (const stop of stops) await stop()
  }
}

/** By turns, so that whatever slows the machine down slows all of them. */
async function measure(workload: string, all: readonly Arrangement[]): Promise<ShardsRow[]> {
  const rows = new Map<Arrangement, ShardsRow[]>(all.map((each) => [each, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [each, done] of rows) done.push(await oneRound(workload, each, round))
  }
  return [...rows.values()].map((done) => {
    const byRate = done.toSorted((a, b) => a.perSecond - b.perSecond)
    return byRate[Math.floor(byRate.length / 2)]!
  })
}

async function oneRound(
  workload: string,
  { shards, clients, pid, contenders }: Arrangement,
  round: number,
): Promise<ShardsRow> {
  const batches = workload === "write" || workload === "getMany"
  // As many calls on their way in all, however many clients make them.
  const callers = Math.ceil((batches ? 8 : CALLERS) / clients)
  const before = processCost(pid)
  const startedMs = performance.now()
  const done: CallRound[] = await Promise.all(
    contenders.map((each, at) =>
      each.round({ workload, callers, seconds: SECONDS, rate: 0 }, round * 10 + at),
    ),
  )
  const seconds = (performance.now() - startedMs) / 1000
  const sum = (of: (each: CallRound) => number): number => done.reduce((total, each) => total + of(each), 0)
  return {
    workload,
    shards,
    clients,
    perSecond: sum(({ operations, seconds: own }) => operations / own),
    daemonCores: (processCost(pid).cpuSeconds - before.cpuSeconds) / seconds,
    clientCores: sum(({ clientCpuSeconds }) => clientCpuSeconds) / seconds,
  }
}

function linesOf({ rows, starts }: ShardsFigures): string[] {
  const cells = rows.map(({ workload, shards, clients, perSecond, daemonCores, clientCores }) => {
    const one = rows.find((row) => row.workload === workload)!
    const times = `${(perSecond / one.perSecond).toFixed(2)}×`
    const rate = Math.round(perSecond).toLocaleString("en")
    const cores = [daemonCores, clientCores].map((each) => each.toFixed(2))
    return [workload, String(shards), String(clients), rate, times, ...cores]
  })
  const head = ["call", "shards", "clients", "records/s", "to 1 and 1", "cores of daemon", "of clients"]
  return [
    ...table(head, cells, 1),
    "",
    ...starts.map(({ shards, ms }) => `start with ${shards} shards: ${Math.round(ms)} ms to ready`),
  ]
}
