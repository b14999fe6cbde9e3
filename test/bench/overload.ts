// What a daemon does that is offered twice what it can take: a client first finds its best rate, with a fixed number of
// requests on the way, then offers twice of that at a fixed rate. Both share the machine, so the answers are counted for
// each second and for each second of processor time that the daemon had.

import { startDaemon } from "../server/daemon.ts"
import { bytes, RawClient } from "../server/raw-client.ts"
import { type Child, startChild } from "./child-contender.ts"
import { ending } from "./endings.ts"
import type { LoadFigures, LoadForm, LoadRound } from "./overload-load.ts"
import { processCost } from "./process-cost.ts"
import { killWithBenchmark, makeScratch } from "./scratch.ts"
import type { SuiteResult } from "./suite.ts"
import { table } from "./table.ts"

const MIB = 1024 * 1024
const FORMS: readonly LoadForm[] = ["get", "getMany", "pipeline"]
const SECONDS = 5
const WARM_UP_SECONDS = 2
const SAMPLE_MS = 50
const FACTOR = 2
/** Of the best rate, what is still answered in time at twice the load. */
const GOODPUT_MIN = 0.8
const VALUE_BYTES = 100

interface OverloadRow {
  readonly form: LoadForm
  /** A second. */
  readonly asked: number | "best"
  readonly offered: number
  readonly answered: number
  readonly refused: number
  readonly failed: number
  readonly late: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Cores that the daemon had, all its threads: well below 1 the machine was too slow to overload it. */
  readonly cores: number
  readonly clientCores: number
  /** Answers for each second of processor time of the daemon. */
  readonly answeredPerCpuSecond: number
  readonly residentBytes: number
}

/** Runs the suite. */
export async function benchOverload(): Promise<SuiteResult> {
  const scratch = makeScratch("daemon")
  const daemon = await startDaemon({ directory: scratch.path, flags: ["--partitions", "1"] })
  const ended = killWithBenchmark(daemon.pid)
  let client: Child | undefined
  const close = ending(async () => {
    await client?.close()
    await daemon.stop()
    ended()
    await scratch.remove()
  })
  try {
    const filler = new RawClient(daemon.grpc)
    await filler.set(bytes("key-of-16-bytes."), Buffer.alloc(VALUE_BYTES, 1))
    filler.close()
    client = await startChild("client", new URL("./overload-load.ts", import.meta.url), [daemon.grpc])
    const rows: OverloadRow[] = []
    for (const form of FORMS) {
      await offer(client, daemon.pid, form, 0, WARM_UP_SECONDS)
      const best = await offer(client, daemon.pid, form, 0, SECONDS)
      rows.push(best, await offer(client, daemon.pid, form, FACTOR * best.answered, SECONDS))
    }
    return {
      suite: "overload",
      parameters: { seconds: SECONDS, factor: FACTOR },
      lines: linesOf(rows),
      figures: { rows },
    }
  } finally {
    await close()
  }
}

async function offer(
  client: Child,
  pid: number,
  form: LoadForm,
  rate: number,
  seconds: number,
): Promise<OverloadRow> {
  const before = processCost(pid)
  let residentBytes = before.residentBytes
  const sampling = setInterval(() => {
    residentBytes = Math.max(residentBytes, processCost(pid).residentBytes)
  }, SAMPLE_MS)
  const round: LoadRound = { form, rate, seconds }
  try {
    const figures = (await client.measure(JSON.stringify(round), 1)) as LoadFigures
    const cpuSeconds = processCost(pid).cpuSeconds - before.cpuSeconds
    const perSecond = (count: number): number => count / figures.seconds
    return {
      form,
      asked: rate === 0 ? "best" : rate,
      offered: perSecond(figures.offered),
      answered: perSecond(figures.answered),
      refused: perSecond(figures.refused),
      failed: perSecond(figures.failed),
      late: perSecond(figures.late),
      p50Ms: figures.p50Ms,
      p99Ms: figures.p99Ms,
      cores: cpuSeconds / figures.seconds,
      clientCores: figures.cores,
      answeredPerCpuSecond: figures.answered / cpuSeconds,
      residentBytes,
    }
  } finally {
    clearInterval(sampling)
  }
}

function linesOf(rows: readonly OverloadRow[]): string[] {
  const head = [
    "form",
    "asked/s",
    "offered/s",
    "answered/s",
    "refused/s",
    "failed/s",
    "late/s",
    "p50 ms",
    "p99 ms",
  ]
  const whole = (value: number): string => value.toFixed(0)
  const cells = rows.map((row) => [
    row.form,
    row.asked === "best" ? "best" : whole(row.asked),
    ...[row.offered, row.answered, row.refused, row.failed, row.late, row.p50Ms, row.p99Ms].map(whole),
    row.cores.toFixed(2),
    row.clientCores.toFixed(2),
    whole(row.answeredPerCpuSecond),
    whole(row.residentBytes / MIB),
  ])
  const verdicts = rows.flatMap((row, index) => {
    const best = rows[index - 1]
    if (row.asked === "best" || best === undefined) return []
    const part = row.answered / best.answered
    const partOfCpu = row.answeredPerCpuSecond / best.answeredPerCpuSecond
    const verdict = partOfCpu >= GOODPUT_MIN ? "met" : "not met"
    return [
      `${row.form}: at ${FACTOR} times the load ${part.toFixed(2)} of the best rate, ` +
        `${partOfCpu.toFixed(2)} for the same processor time (at least ${GOODPUT_MIN}: ${verdict})`,
    ]
  })
  return [...table([...head, "cores", "client", "answered/CPU s", "MiB"], cells, 1), "", ...verdicts]
}
