// Calls through the daemon: @varve/client beside ioredis, redis-benchmark and etcd, each client in a process of its own,
// in rounds by turns. README.md says how to read the figures.

import { packageVersion } from "./machine.ts"
import { programVersion } from "./peers.ts"
import { redisBenchmarkFlags, runRedisBenchmark } from "./redis-benchmark.ts"
import type { SuiteResult } from "./suite.ts"
import type { BatchPeerRow, WireFigures, WireRow } from "./wire-figures.ts"
import { startServers, startWireContender, type WireContender, type WireServers } from "./wire-group.ts"
import type { WireRound } from "./wire-load.ts"
import type { WireOptions } from "./wire-options.ts"
import { profileWire } from "./wire-profile.ts"
import { wireLines } from "./wire-tables.ts"
import { bestRate, wireTargets } from "./wire-targets.ts"
import { KEY_BYTES, VALUE_BYTES } from "./workload.ts"

/** Keys times bytes of a value: small enough that everybody keeps all of it in memory. */
const VALUES_BYTES = 100_000 * VALUE_BYTES
/** etcd answers a few thousand calls a second, and more of its keys would tell nothing more. */
const ETCD_KEYS_MAX = 10_000
const BATCH_CALLERS = 8

type Row = WireRow & { readonly rounds: WireRow["rounds"][number][] }

/** Runs the suite. */
export async function benchWire(options: WireOptions): Promise<SuiteResult> {
  if (options.profile !== undefined) return profileWire(options.profile, options)
  const { servers, stop } = await startServers(options.peers)
  const rows: Row[] = []
  const redisBenchmark: BatchPeerRow[] = []
  try {
    for (const valueBytes of options.valueBytes) {
      rows.push(...(await measureCalls(servers, options, valueBytes, redisBenchmark)))
    }
  } finally {
    await stop()
  }
  const figures: WireFigures = { rows, redisBenchmark, targets: wireTargets(rows, redisBenchmark) }
  return {
    suite: "wire",
    parameters: parametersOf(options),
    lines: wireLines(figures),
    figures,
  }
}

async function measureCalls(
  servers: WireServers,
  options: WireOptions,
  valueBytes: number,
  redisBenchmark: BatchPeerRow[],
): Promise<Row[]> {
  const { rounds, seconds } = options
  const keys = Math.max(1, Math.floor(VALUES_BYTES / valueBytes))
  const rows: Row[] = []
  const contenders: WireContender[] = []
  const say = (text: string): boolean => process.stderr.write(`  ${valueBytes} bytes: ${text}\n`)
  const measure = async (contender: WireContender, asked: WireRound, round: number): Promise<void> => {
    const { workload, callers, rate: offeredRate } = asked
    let row = rows.find(
      (each) => each.workload === workload && each.contender === contender.name && each.callers === callers,
    )
    if (row === undefined) {
      const offered = offeredRate > 0 ? { offeredRate } : {}
      row = { workload, contender: contender.name, valueBytes, callers, ...offered, rounds: [] }
      rows.push(row)
    }
    const figure = await contender.round(asked, round)
    row.rounds.push(figure)
    const rate = Math.round(figure.operations / figure.seconds)
    say(`round ${round}, ${workload} ${callers} ${contender.name} ${rate}`)
  }
  const batchPeers = (["set", "get"] as const).map((command) => ({
    command,
    row: { workload: command, valueBytes, rates: [] as number[] },
  }))
  const redis = servers.get("ioredis")?.address
  if (redis !== undefined) redisBenchmark.push(...batchPeers.map(({ row }) => row))
  try {
    for (const [name, server] of servers) {
      say(`fill ${name}`)
      const own = name === "etcd" ? Math.min(keys, ETCD_KEYS_MAX) : keys
      contenders.push(await startWireContender(name, server, own, valueBytes))
    }
    for (let round = 1; round <= rounds; round++) {
      for (const callers of options.callers) {
        for (const workload of ["set", "get", "mixed"]) {
          for (const contender of contenders) {
            if (!takesPart(contender.name, callers, workload)) continue
            await measure(contender, { workload, callers, seconds, rate: 0 }, round)
          }
        }
      }
      for (const contender of contenders.filter(({ name }) => isOurs(name))) {
        for (const workload of ["write", "getMany"]) {
          await measure(contender, { workload, callers: BATCH_CALLERS, seconds, rate: 0 }, round)
        }
      }
      if (redis === undefined) continue
      for (const { command, row } of batchPeers) {
        const operations = Math.max(10_000, Math.round(REDIS_BATCH_RATE * seconds))
        row.rates.push(await runRedisBenchmark(redis, command, keys, valueBytes, operations))
        say(`round ${round}, ${command} redis-benchmark ${Math.round(row.rates.at(-1)!)}`)
      }
    }
    for (let round = 1; round <= rounds; round++) {
      for (const contender of contenders.filter(({ name }) => isOurs(name))) {
        for (const workload of ["set", "get"]) {
          const rate = bestRate(rows, contender.name, workload, valueBytes) / 2
          await measure(contender, { workload: `paced-${workload}`, callers: 0, seconds, rate }, round)
        }
      }
    }
    return rows
  } finally {
    for (const contender of contenders) await contender.close()
  }
}

/** What redis-benchmark does in a second, about: how many operations make a round of `--seconds`. */
const REDIS_BATCH_RATE = 700_000

function isOurs(name: string): boolean {
  return name === "varve" || name === "varve-unix"
}

/**
 * ioredis makes a lone call without auto-pipelining, many with it; its Unix socket is for the latency of a lone call.
 * Sessions concern writes alone.
 */
function takesPart(name: string, callers: number, workload: string): boolean {
  if (name === "varve-sessionless") return workload === "set"
  if (name === "ioredis") return callers > 1
  if (name === "ioredis-single" || name === "ioredis-unix") return callers === 1
  return true
}

function parametersOf({ peers, rounds, seconds }: WireOptions): Record<string, string | number> {
  return {
    keyBytes: KEY_BYTES,
    rounds,
    secondsPerRound: seconds,
    varve:
      "@varve/client, one process; daemons with their default settings, one on TCP, one on a Unix socket",
    ...(peers.includes("redis") && {
      redis: `${programVersion("redis-server")}, no persistence; ioredis ${packageVersion("ioredis")}; redis-benchmark ${redisBenchmarkFlags.join(" ")}`,
    }),
    ...(peers.includes("etcd") && {
      etcd: `${programVersion("etcd")}, one node, which syncs its log; a client of Put and Range over @grpc/grpc-js`,
    }),
  }
}
