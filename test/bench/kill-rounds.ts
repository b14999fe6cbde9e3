// A daemon under write load that is killed with SIGKILL again and again: after each start every write that was
// acknowledged must be there, and every key hold a value that somebody wrote last or was writing.

import { connect } from "@varve/client"
import { startDaemon, type TestDaemon } from "../server/daemon.ts"

export interface KillRounds {
  readonly rounds: number
  readonly writers: number
  readonly engine: string
  /** Called behind each round. */
  readonly onRound?: (round: number, acknowledged: number) => void
}

export interface KillFigures {
  readonly acknowledged: number
  /** Acknowledged writes that were gone after a start. */
  readonly lost: number
  /** Values that nobody had written last. */
  readonly wrong: number
  /** How the partitions came up, over all rounds. */
  readonly recoveries: readonly string[]
}

/** Acknowledged writes of a round before it ends; the kill comes amid the next ones. */
const ACKNOWLEDGED_LEAST = 300

/** Runs the rounds on a daemon of its own; nothing of it is left behind. */
export async function killRounds({ rounds, writers, engine, onRound }: KillRounds): Promise<KillFigures> {
  const flags = ["--durability", "log", "--engine", engine]
  let daemon: TestDaemon = await startDaemon({ flags })
  // By key: the last value that was acknowledged, and the one that was asked for last.
  const kept = new Map<string, number>()
  const asked = new Map<string, number>()
  const recoveries = new Set<string>()
  let acknowledged = 0
  let lost = 0
  let wrong = 0
  try {
    for (let round = 1; round <= rounds; round++) {
      acknowledged += await writeUntilKilled(daemon, writers, round, kept, asked)
      daemon = await daemon.restart()
      const state = connect(daemon.grpc)
      const keys = [...asked.keys()]
      const values = await state.getMany(keys)
      for (const [at, key] of keys.entries()) {
        const value = values[at] === undefined ? 0 : Number(values[at].toString())
        if (value < (kept.get(key) ?? 0)) lost++
        else if (value > asked.get(key)!) wrong++
        // What has come up is what the next round goes on from.
        kept.set(key, value)
      }
      for (const { partitions } of (await state.describe()).stores) {
        for (const { recovery } of partitions) recoveries.add(recovery)
      }
      await state.close()
      onRound?.(round, acknowledged)
    }
    return { acknowledged, lost, wrong, recoveries: [...recoveries] }
  } finally {
    await daemon.stop()
  }
}

/** Each writer counts its own keys up, one write at a time; after enough answers the daemon is killed. */
async function writeUntilKilled(
  daemon: TestDaemon,
  writers: number,
  round: number,
  kept: Map<string, number>,
  asked: Map<string, number>,
): Promise<number> {
  const state = connect(daemon.grpc)
  let acknowledged = 0
  let isKilled = false
  let enough = (): void => undefined
  const warm = new Promise<void>((resolve) => {
    enough = resolve
  })
  const writing = Array.from({ length: writers }, async (_, writer) => {
    for (let i = 0; !isKilled; i++) {
      const key = `writer ${writer} key ${i % 7}`
      const value = (asked.get(key) ?? 0) + 1
      asked.set(key, value)
      try {
        await state.set(key, String(value))
      } catch (error) {
        if (isKilled) return
        throw error
      }
      kept.set(key, value)
      acknowledged++
      // Another moment in each round.
      if (acknowledged === ACKNOWLEDGED_LEAST + ((round * 37) % 200)) enough()
    }
  })
  const ended = Promise.allSettled(writing)
  await Promise.race([warm, ended])
  const gone = daemon.kill("SIGKILL")
  isKilled = true
  await gone
  await state.close()
  for (const each of await ended) if (each.status === "rejected") throw each.reason
  return acknowledged
}
