// Acknowledged durable writes through the daemon, by 1, 64 and 512 writers, each of which waits for its answer, against
// Redis with an append-only file that is synced before the answer (`appendfsync always`), on the same disk.

import { once } from "node:events"
import { connect } from "@varve/client"
import { Redis } from "ioredis"
import { startDaemon } from "../server/daemon.ts"
import { killRounds } from "./kill-rounds.ts"
import { packageVersion } from "./machine.ts"
import { programVersion } from "./peers.ts"
import { startRedis } from "./redis-server.ts"
import { type Contender, comparisonLines, interleave } from "./rounds.ts"
import type { SuiteResult } from "./suite.ts"

const WRITERS = [1, 64, 512]
const VALUE = Buffer.alloc(100, "v")
const ROUND_MS = 2000
const ROUNDS = 3
const KILLS = 200
const KILL_WRITERS = 64

/** Acknowledged writes a second. */
async function writesPerSecond(set: (key: string) => Promise<unknown>, writers: number): Promise<number> {
  const startedMs = performance.now()
  let count = 0
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let i = 0; performance.now() - startedMs < ROUND_MS; i++) {
        await set(`key ${writer} ${i % 1000}`)
        count++
      }
    }),
  )
  return (count / (performance.now() - startedMs)) * 1000
}

/** Runs the suite. */
export async function benchDurability(): Promise<SuiteResult> {
  const daemon = await startDaemon({ flags: ["--durability", "log"] })
  const redis = await startRedis({ sync: "always" })
  const state = connect(daemon.grpc)
  const [host, port] = redis.address.split(":")
  const peer = new Redis({ host: host!, port: Number(port), enableAutoPipelining: true })
  try {
    const contender = (name: string, set: (key: string) => Promise<unknown>): Contender => ({
      name,
      measure: (writers) => writesPerSecond(set, Number(writers)),
    })
    const contenders = [
      contender("varve", (key) => state.set(key, VALUE)),
      contender("redis", (key) => peer.set(key, VALUE)),
    ]
    const rows = await interleave(contenders, WRITERS.map(String), ROUNDS)
    return {
      suite: "durability",
      parameters: {
        measurement: "number of writers, each with one write on its way",
        valueBytes: VALUE.length,
        secondsPerRound: ROUND_MS / 1000,
        varve: "@varve/client, this process; daemon with durability log, 4 partitions on one shard",
        redis: `${programVersion("redis-server")}, appendonly yes, appendfsync always; ioredis ${packageVersion("ioredis")}, enableAutoPipelining`,
      },
      lines: comparisonLines(rows, "writes/s"),
      figures: rows,
    }
  } finally {
    await state.close()
    const gone = once(peer, "end")
    peer.disconnect()
    await gone
    await daemon.stop()
    await redis.close()
  }
}

/** SIGKILLs under load, and the acknowledged writes that they cost: none. */
export async function benchKills(): Promise<SuiteResult> {
  const figures = await killRounds({
    rounds: KILLS,
    writers: KILL_WRITERS,
    engine: "hybrid-log",
    onRound: (round, acknowledged) => {
      if (round % 20 === 0) process.stderr.write(`  kill ${round}: ${acknowledged} acknowledged\n`)
    },
  })
  const { acknowledged, lost, wrong, recoveries } = figures
  return {
    suite: "kills",
    parameters: { kills: KILLS, writers: KILL_WRITERS, engine: "hybrid-log", durability: "log" },
    lines: [
      `${KILLS} kills: ${acknowledged} writes acknowledged, ${lost} lost, ${wrong} wrong; came up ${recoveries.join(", ")}`,
    ],
    figures,
  }
}
