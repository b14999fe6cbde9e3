// A subject in a process of its own: it is filled, its versions are measured, and it dies as after a crash.

import { serveParent } from "./child-contender.ts"
import type { FullFigures } from "./snapshot-figures.ts"
import { measureLatency } from "./snapshot-latency.ts"
import { MeasuredState } from "./snapshot-state.ts"
import { measureIncrements, measureSeals } from "./snapshot-versions.ts"

/** What the process is told on its command line. */
export interface SnapshotWords {
  readonly engine: string
  readonly directory: string
  readonly deduplication: boolean
  readonly keys: number
  readonly sealCount: number
  readonly incrementCount: number
  readonly latencySeconds: number
}

const words = JSON.parse(process.argv[2]!) as SnapshotWords
let state: MeasuredState

serveParent({
  async prepare(): Promise<FullFigures> {
    state = await MeasuredState.open(words.engine, words.directory, words.deduplication)
    for (let record = 0; record < words.keys; record++) {
      const pending = state.set(record)
      if (pending !== undefined) await pending
    }
    const { bytesNew, totalMs } = await state.snapshot()
    return { bytes: bytesNew, ms: totalMs }
  },
  async measure(part) {
    const { keys, sealCount, incrementCount, latencySeconds } = words
    if (part === "seals") return measureSeals(state, keys, sealCount)
    if (part === "increments") return measureIncrements(state, keys, incrementCount)
    if (part === "latency") return measureLatency(state, keys, latencySeconds)
    if (part !== "crash") throw new Error(`no part ${part}`)
    // Written and in no version: what a crash loses.
    await state.set(0)
    return process.kill(process.pid, "SIGKILL")
  },
  close: () => state.close(),
})
