// What each attack of test/server/attacks costs a daemon of its own with default settings, and what others get meanwhile.

import { setTimeout as sleep } from "node:timers/promises"
import type { Attack } from "../server/attacks/attack.ts"
import { Battlefield } from "../server/attacks/attack.ts"
import { attacks } from "../server/attacks/attacks.ts"
import { startDaemon } from "../server/daemon.ts"
import { bytes, RawClient } from "../server/raw-client.ts"
import { ending } from "./endings.ts"
import { processCost } from "./process-cost.ts"
import { killWithBenchmark, makeScratch } from "./scratch.ts"
import type { SuiteResult } from "./suite.ts"
import { table } from "./table.ts"

const MIB = 1024 * 1024
/** Large enough to fill a daemon that has no bound. */
const FORCE = {
  connections: 16,
  streams: 250,
  requestBytes: 8 * MIB - 1024,
  valueBytes: MIB,
  floodBytes: 16 * MIB,
  patienceMs: 1000,
}
const SAMPLE_MS = 20
const BYSTANDER_MS = 10

export interface AttackFigures {
  readonly attack: string
  /** The daemon's memory at its highest, above what it had before. */
  readonly residentBytes: number
  readonly cpuMs: number
  /** The longest answer that somebody else waited for. */
  readonly longestMs: number
  /** Calls of somebody else that were refused. */
  readonly refused: number
  readonly answered: number
}

/** Runs the suite. */
export async function benchAttacks(): Promise<SuiteResult> {
  const figures: AttackFigures[] = []
  for (const attack of attacks) {
    figures.push(await measure(attack))
    process.stderr.write(`  ${attack.name}\n`)
  }
  const rows = figures.map((each) => [
    each.attack,
    (each.residentBytes / MIB).toFixed(0),
    each.cpuMs.toFixed(0),
    each.longestMs.toFixed(0),
    String(each.answered),
    String(each.refused),
  ])
  const head = ["attack", "MiB", "CPU ms", "longest ms", "answered", "refused"]
  return { suite: "attacks", parameters: { ...FORCE }, lines: table(head, rows, 1), figures }
}

async function measure(attack: Attack): Promise<AttackFigures> {
  const scratch = makeScratch("daemon")
  const daemon = await startDaemon({ directory: scratch.path })
  const ended = killWithBenchmark(daemon.pid)
  const bystander = new RawClient(daemon.grpc)
  const field = new Battlefield({ grpc: daemon.grpc, http: daemon.http.slice("http://".length) }, FORCE)
  const close = ending(async () => {
    await field.leave()
    bystander.close()
    await daemon.stop()
    ended()
    await scratch.remove()
  })
  try {
    await bystander.set(bytes("bystander"), bytes("1"))
    const before = processCost(daemon.pid)
    let residentBytes = before.residentBytes
    const sampling = setInterval(() => {
      residentBytes = Math.max(residentBytes, processCost(daemon.pid).residentBytes)
    }, SAMPLE_MS)
    const watch = watchOthers(bystander)
    try {
      await attack.run(field)
    } finally {
      clearInterval(sampling)
    }
    const after = processCost(daemon.pid)
    return {
      attack: attack.name,
      residentBytes: Math.max(residentBytes, after.residentBytes) - before.residentBytes,
      cpuMs: (after.cpuSeconds - before.cpuSeconds) * 1000,
      ...(await watch()),
    }
  } finally {
    await close()
  }
}

type OthersFigures = Pick<AttackFigures, "longestMs" | "refused" | "answered">

/** Asks one call after the other until the returned function is called. */
function watchOthers(client: RawClient): () => Promise<OthersFigures> {
  let isOver = false
  const figures = { longestMs: 0, refused: 0, answered: 0 }
  const asking = (async () => {
    while (!isOver) {
      const startedMs = performance.now()
      const [result] = await Promise.allSettled([client.get(bytes("bystander"))])
      if (result.status === "fulfilled") figures.answered++
      else figures.refused++
      figures.longestMs = Math.max(figures.longestMs, performance.now() - startedMs)
      await sleep(BYSTANDER_MS)
    }
  })()
  return async () => {
    isOver = true
    await asking
    return figures
  }
}
