// Operations through the daemon, one promise a call: @varve/client against ioredis with auto-pipelining and
// Redis. The daemon and Redis keep everything in memory; neither syncs.

import { startDaemon } from "../server/daemon.ts"
import { startChild } from "./child-contender.ts"
import { ending } from "./endings.ts"
import { packageVersion } from "./machine.ts"
import { programVersion } from "./peers.ts"
import { startRedis } from "./redis-server.ts"
import { type Contender, comparisonLines, interleave } from "./rounds.ts"
import { killWithBenchmark, makeScratch } from "./scratch.ts"
import type { SuiteResult } from "./suite.ts"
import { KEY_BYTES, VALUE_BYTES } from "./workload.ts"

const KEYS = 200_000
const OPERATIONS = 200_000
const CALLERS = 512
const ROUNDS = 3
const module = new URL("./wire-contenders.ts", import.meta.url)

/** Runs the suite. */
export async function benchWire(): Promise<SuiteResult> {
  const redis = await startRedis()
  const scratch = makeScratch("daemon")
  const daemon = await startDaemon({ directory: scratch.path })
  const ended = killWithBenchmark(daemon.pid)
  const stopDaemon = ending(async () => {
    await daemon.stop()
    ended()
    await scratch.remove()
  })
  const contenders: (Contender & { close(): Promise<void> })[] = []
  try {
    const sizes = [KEYS, OPERATIONS, CALLERS].map(String)
    for (const [name, address] of [
      ["varve", daemon.grpc],
      ["redis", redis.address],
    ] as const) {
      process.stderr.write(`  fill ${name}\n`)
      const child = await startChild(name, module, [name, address, ...sizes])
      contenders.push({
        name,
        measure: async (measurement, round) => (await child.measure(measurement, round)) as number,
        close: () => child.close(),
      })
    }
    const rows = await interleave(contenders, ["set", "get"], ROUNDS)
    return {
      suite: "wire",
      parameters: {
        keys: KEYS,
        keyBytes: KEY_BYTES,
        valueBytes: VALUE_BYTES,
        operationsPerRound: OPERATIONS,
        callers: CALLERS,
        varve: "@varve/client, one process; daemon with its default settings",
        redis: `${programVersion("redis-server")}, no persistence; ioredis ${packageVersion("ioredis")}, enableAutoPipelining`,
      },
      lines: comparisonLines(rows, "ops/s"),
      figures: rows,
    }
  } finally {
    for (const contender of contenders) await contender.close()
    await stopDaemon()
    await redis.close()
  }
}
