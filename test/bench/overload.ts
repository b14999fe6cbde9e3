// What a daemon does that is offered twice what it can take: several clients first find its best rate, each with a fixed
// number of calls on the way, then offer twice of that at a fixed rate.

import { startDaemon } from "../server/daemon.ts"
import { bytes, RawClient } from "../server/raw-client.ts"
import { type Child, startChild } from "./child-contender.ts"
import { ending } from "./endings.ts"
import type { LoadFigures, LoadRound } from "./overload-load.ts"
import { processCost } from "./process-cost.ts"
import { killWithBenchmark, makeScratch } from "./scratch.ts"
import type { SuiteResult } from "./suite.ts"
import { table } from "./table.ts"

const MIB = 1024 * 1024
const CLIENTS = 3
const SECONDS = 3
const SAMPLE_MS = 50
const FACTOR = 2
/** Of the best rate, what is still answered in time at twice the load. */
const GOODPUT_MIN = 0.8
const VALUE_BYTES = 100

interface OverloadRow {
  readonly form: LoadRound["form"]
  /** A second, of all clients. */
  readonly asked: number | "best"
  readonly offered: number
  readonly answered: number
  readonly refused: number
  readonly late: number
  /** The worst client's. */
  readonly p99Ms: number
  /** Part of one core that the daemon had: well below 1 the clients were too slow to overload it. */
  readonly cores: number
  readonly residentBytes: number
}

/** Runs the suite. */
export async function benchOverload(): Promise<SuiteResult> {
  const scratch = makeScratch("daemon")
  const daemon = await startDaemon({ directory: scratch.path, flags: ["--partitions", "1"] })
  const ended = killWithBenchmark(daemon.pid)
  const clients: Child[] = []
  const close = ending(async () => {
    for (const client of clients) await client.close()
    await daemon.stop()
    ended()
    await scratch.remove()
  })
  try {
    const filler = new RawClient(daemon.grpc)
    await filler.set(bytes("key-of-16-bytes."), Buffer.alloc(VALUE_BYTES, 1))
    filler.close()
    const module = new URL("./overload-load.ts", import.meta.url)
    for (let each = 1; each <= CLIENTS; each++) {
      clients.push(await startChild(`client ${each}`, module, [daemon.grpc]))
    }
    const rows: OverloadRow[] = []
    for (const form of ["unary", "pipeline"] as const) {
      const best = await offer(clients, daemon.pid, form, 0)
      rows.push(best, await offer(clients, daemon.pid, form, FACTOR * best.answered))
    }
    return {
      suite: "overload",
      parameters: { clients: CLIENTS, seconds: SECONDS, factor: FACTOR },
      lines: linesOf(rows),
      figures: { rows },
    }
  } finally {
    await close()
  }
}

async function offer(
  clients: readonly Child[],
  pid: number,
  form: LoadRound["form"],
  rate: number,
): Promise<OverloadRow> {
  const before = processCost(pid)
  let residentBytes = before.residentBytes
  const sampling = setInterval(() => {
    residentBytes = Math.max(residentBytes, processCost(pid).residentBytes)
  }, SAMPLE_MS)
  const round: LoadRound = { form, rate: rate / clients.length, seconds: SECONDS }
  try {
    const all = (await Promise.all(
      clients.map((client) => client.measure(JSON.stringify(round), 1)),
    )) as LoadFigures[]
    const rateOf = (count: (figures: LoadFigures) => number): number =>
      all.reduce((sum, figures) => sum + count(figures) / figures.seconds, 0)
    return {
      form,
      asked: rate === 0 ? "best" : rate,
      offered: rateOf(({ offered }) => offered),
      answered: rateOf(({ answered }) => answered),
      refused: rateOf(({ refused }) => refused),
      late: rateOf(({ late }) => late),
      p99Ms: Math.max(...all.map(({ p99Ms }) => p99Ms)),
      cores: (processCost(pid).cpuSeconds - before.cpuSeconds) / SECONDS,
      residentBytes,
    }
  } finally {
    clearInterval(sampling)
  }
}

function linesOf(rows: readonly OverloadRow[]): string[] {
  const head = ["form", "asked/s", "offered/s", "answered/s", "refused/s", "late/s", "p99 ms", "cores", "MiB"]
  const whole = (value: number): string => value.toFixed(0)
  const cells = rows.map((row) => [
    row.form,
    row.asked === "best" ? "best" : whole(row.asked),
    ...[row.offered, row.answered, row.refused, row.late, row.p99Ms].map(whole),
    row.cores.toFixed(2),
    whole(row.residentBytes / MIB),
  ])
  const verdicts = rows.flatMap((row, index) => {
    const best = rows[index - 1]
    if (row.asked === "best" || best === undefined) return []
    const part = row.answered / best.answered
    const verdict = part >= GOODPUT_MIN ? "met" : "not met"
    return [`${row.form}: ${part.toFixed(2)} of the best rate at ${FACTOR} times the load, ${verdict}`]
  })
  return [...table(head, cells, 1), "", ...verdicts]
}
