// bench: a quick load on a running daemon, in explicit batches over pipelines. Its keys are deleted at the end, also when
// the load fails or is interrupted.

import type { Command } from "commander"
import { type ClientOptions, type CommandContext, clientCommand, withStub } from "./command-context.ts"
import { withExplanation } from "./connection-errors.ts"
import { call } from "./daemon-connection.ts"
import { exitCodes, UsageError } from "./exit-codes.ts"
import type { Latencies } from "./latencies.ts"
import {
  type Frame,
  fillFrames,
  LOAD_KEY_PREFIX,
  type LoadOptions,
  loadFrames,
  loadKeys,
} from "./load-plan.ts"
import { table, toJson } from "./output.ts"
import { withProgress } from "./progress.ts"
import { type LoadResult, runLoad } from "./run-load.ts"
import { writeLine } from "./terminal.ts"
import { wholeNumber } from "./values.ts"

type BenchOptions = ClientOptions & LoadOptions

const TIMEOUT_SECONDS = 10
const REQUESTS_MAX = 100_000_000
const KEYS_MAX = 10_000_000
const FRAME_BYTES_MAX = 4 * 1024 * 1024
const FILL_BATCH_BYTES = 256 * 1024
const KEY_BYTES = 21
const percentiles = [0.5, 0.95, 0.99, 0.999, 1] as const

/** Adds `bench`. */
export function addBenchCommand(program: Command, context: CommandContext): void {
  clientCommand(program, context, {
    name: "bench",
    description: `measure a daemon with batches of reads and writes (of keys ${LOAD_KEY_PREFIX}…, deleted at the end, also at Ctrl-C)`,
    timeoutSeconds: TIMEOUT_SECONDS,
  })
    .option("--requests <count>", "records read and written in all", wholeNumber(1, REQUESTS_MAX), 1_000_000)
    .option("--batch <records>", "records of a frame", wholeNumber(1, 65_536), 64)
    .option("--clients <count>", "connections, each with one frame on its way", wholeNumber(1, 1000), 16)
    .option("--value-bytes <bytes>", "bytes of a value", wholeNumber(1, FRAME_BYTES_MAX), 100)
    .option("--keys <count>", "different keys", wholeNumber(1, KEYS_MAX), 100_000)
    .option("--reads <percent>", "share of the frames that read", wholeNumber(0, 100), 50)
    .action((options: BenchOptions) => bench(options, context))
}

async function bench(options: BenchOptions, { terminal, exitWith }: CommandContext): Promise<void> {
  if (options.batch * (options.valueBytes + KEY_BYTES) > FRAME_BYTES_MAX) {
    throw new UsageError(
      `a frame of ${options.batch} values of ${options.valueBytes} bytes exceeds ${FRAME_BYTES_MAX}`,
    )
  }
  const { stores } = await withStub(options, "reads", (stub) =>
    call(stub.describe.bind(stub), { store: options.store }, options.timeout),
  )
  const store = stores[0]
  if (store === undefined) throw new UsageError(`the daemon describes no store ${options.store}`)
  const keys = loadKeys(options.keys, store.partitionCount, store.partitioning === "explicit")
  const frames = loadFrames(keys, options)
  const { clients } = options
  const load = (all: readonly Frame[], frameCount: number, signal?: AbortSignal): Promise<LoadResult> =>
    withExplanation({ address: options.address, effect: "writes" }, () =>
      runLoad(options, all, { frameCount, clients, ...(signal === undefined ? {} : { signal }) }),
    )
  const fill = (value: Buffer, signal?: AbortSignal): Promise<LoadResult> => {
    const batch = Math.max(1, Math.floor(FILL_BATCH_BYTES / (value.length + KEY_BYTES)))
    const all = fillFrames(keys, batch, value)
    return load(all, all.length, signal)
  }
  const interrupt = new AbortController()
  const { signal } = interrupt
  const letGo = terminal.onInterrupt?.(() => interrupt.abort())
  try {
    // Every key is there before the clock starts, so that reads find what they ask for.
    await withProgress(terminal, `fill ${options.keys} keys`, () =>
      fill(Buffer.alloc(options.valueBytes, 97), signal),
    )
    const result = await withProgress(terminal, `${options.requests} requests`, () =>
      load(frames, Math.ceil(options.requests / options.batch), signal),
    )
    if (!signal.aborted) {
      await writeLine(
        terminal,
        options.json ? toJson(reportOf(options, result), false) : textOf(options, result),
      )
    }
  } finally {
    await withProgress(terminal, "delete the keys", () => fill(Buffer.alloc(0)))
    letGo?.()
  }
  if (!signal.aborted) return
  terminal.stderr.write("varve: interrupted: the load was stopped and its keys are deleted\n")
  exitWith(exitCodes.interrupted.code)
}

function reportOf(
  { requests, batch, clients, valueBytes, keys, reads }: BenchOptions,
  result: LoadResult,
): object {
  const { seconds, records, latencies } = result
  return {
    parameters: { requests, batch, clients, valueBytes, keys, reads },
    seconds,
    operationsPerSecond: (records.reads + records.writes) / seconds,
    reads: {
      records: records.reads,
      frames: latencies.reads.count,
      milliseconds: figuresOf(latencies.reads),
    },
    writes: {
      records: records.writes,
      frames: latencies.writes.count,
      milliseconds: figuresOf(latencies.writes),
    },
  }
}

function textOf({ batch, clients, valueBytes, keys }: BenchOptions, result: LoadResult): string {
  const { seconds, records, latencies } = result
  const total = records.reads + records.writes
  const rows = (["reads", "writes"] as const)
    .filter((kind) => records[kind] > 0)
    .map((kind) => [
      kind,
      records[kind],
      Math.round(records[kind] / seconds),
      ...percentiles.map((fraction) => latencies[kind].percentile(fraction).toFixed(2)),
    ])
  const head = ["", "records", "records/s", "p50 ms", "p95 ms", "p99 ms", "p99.9 ms", "max ms"]
  return [
    `${total} records in ${seconds.toFixed(2)} s: ${Math.round(total / seconds)} records/s`,
    `frames of ${batch}, ${clients} clients, ${keys} keys, values of ${valueBytes} bytes; latencies are of frames`,
    table(head, rows),
  ].join("\n")
}

function figuresOf(latencies: Latencies): Record<string, number> {
  return Object.fromEntries(
    percentiles.map((fraction) => [
      fraction === 1 ? "max" : `p${fraction * 100}`,
      latencies.percentile(fraction),
    ]),
  )
}
