// What writers feel when merges fall behind, on a clock that stands still unless it is moved: merges are held at a
// gate, so that runs pile up exactly as fast as they are written.
//
//   runs in level 0    0 … soft     soft+1 … hard-1             hard
//   a write takes      no time      longer with each more run   for ever, until a merge is done

import { BlockCache, type Engine, type EngineName, openEngine } from "@varve/engines"
import { InlineExecutor } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedClock, simulatedSeams } from "../simulation/index.ts"
import { bytes, read } from "./engine-fixture.ts"
import { GatedExecutor } from "./gated-executor.ts"

const RUN_BYTES = 256 * 1024
const VALUE_BYTES = 2048
const MAX_RUNS = 2
/** As in merge-pressure.ts: 2 and 4 times MAX_RUNS. */
const SOFT_RUNS = 4
const HARD_RUNS = 8
/** Within so many turns of the event loop everything is done that needs no time. */
const TURNS = 60
const ROUNDS_MAX = 5000

const settings: Partial<Record<EngineName, unknown>> = {
  "append-log": { threshold: RUN_BYTES, maxRunsPerLevel: MAX_RUNS },
  "hybrid-log": {
    memSegmentLength: 4096,
    roLagInterval: 4096,
    flushInterval: RUN_BYTES,
    maxRunsPerLevel: MAX_RUNS,
  },
  "lsm-tree": { memtableBytesLimit: RUN_BYTES, maxRunsPerLevel: MAX_RUNS },
}

/** What is in memory when writers stop is flushed all the same. */
const FLUSHES_UNDER_WAY = 1

/** Writes one record after the other and waits whenever it is told to. */
class Writer {
  readonly #engine: Engine
  readonly #value = new Uint8Array(VALUE_BYTES).fill(1)
  #isStopped = false
  #done: Promise<void> = Promise.resolve()
  count = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  start(): void {
    this.#done = this.#write()
  }

  stop(): Promise<void> {
    this.#isStopped = true
    return this.#done
  }

  async #write(): Promise<void> {
    while (!this.#isStopped) {
      const pending = this.#engine.set(bytes(`key ${this.count++}`), this.#value)
      if (pending !== undefined) await pending
      // So that the test sees each run come.
      if (this.count % 8 === 0) await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }
}

async function turns(clock: SimulatedClock, watch?: () => void): Promise<void> {
  for (let i = 0; i < TURNS; i++) {
    await clock.nextTurn()
    watch?.()
  }
}

test.each(["append-log", "hybrid-log", "lsm-tree"] as const)(
  "%s: writes are slower with each run beyond the soft limit, stop at the hard one, and are fast again after merges",
  async (name) => {
    const clock = new SimulatedClock()
    const seams = simulatedSeams(1, { clock })
    const gate = new GatedExecutor(new InlineExecutor(seams), (name) => name.startsWith("merge"))
    const engine = await openEngine({
      engine: name,
      directory: "/partition",
      repository: "file:/repository",
      // Who else owns the partition is not asked: the clock moves for the writer alone.
      owner: { checkIntervalMs: 0 },
      settings: settings[name],
      valueBytesMax: VALUE_BYTES,
      blockCache: new BlockCache(0),
      seams: { ...seams, executor: gate },
    })
    const fullest = (): number => Math.max(0, ...engine.statistics().runsByLevel)
    const writer = new Writer(engine)
    writer.start()

    // By number of runs: when there were so many first.
    const since = [{ ms: 0, count: 0 }]
    const watch = (): void => {
      const runs = fullest()
      expect(runs).toBeLessThanOrEqual(HARD_RUNS + FLUSHES_UNDER_WAY)
      while (since.length <= runs) since.push({ ms: clock.monotonicMs(), count: writer.count })
    }
    for (let rounds = 0, still = 0, written = 0; still < 20; rounds++) {
      expect(rounds).toBeLessThan(ROUNDS_MAX)
      await turns(clock, watch)
      still = writer.count === written && clock.sleeperCount === 0 ? still + 1 : 0
      written = writer.count
      // At the hard limit nobody writes, and what still sleeps is the merger, for a while after the opening.
      if (fullest() > SOFT_RUNS) await clock.advance(fullest() >= HARD_RUNS ? 20 : 1)
    }
    expect(fullest()).toBeGreaterThanOrEqual(HARD_RUNS)
    expect(since[SOFT_RUNS + 1]!.ms).toBe(0)
    const msPerWrite = (runs: number): number => {
      const [from, to] = [since[runs]!, since[runs + 1]!]
      return (to.ms - from.ms) / (to.count - from.count)
    }
    for (let runs = SOFT_RUNS + 1; runs < HARD_RUNS - 1; runs++) {
      expect(msPerWrite(runs + 1), `with ${runs + 1} runs`).toBeGreaterThan(msPerWrite(runs))
    }
    // A few writes more or less fall between two looks: by themselves they make no such difference.
    expect(msPerWrite(HARD_RUNS - 1)).toBeGreaterThan(1.5 * msPerWrite(SOFT_RUNS + 1))

    gate.open()
    for (let rounds = 0; fullest() > SOFT_RUNS; rounds++) {
      expect(rounds).toBeLessThan(ROUNDS_MAX)
      await turns(clock)
      await clock.advance(1)
    }
    // At full speed again: a run and more in no time.
    await turns(clock)
    const before = { ms: clock.monotonicMs(), count: writer.count }
    for (let rounds = 0; (writer.count - before.count) * VALUE_BYTES < 2 * RUN_BYTES; rounds++) {
      expect(rounds).toBeLessThan(ROUNDS_MAX)
      await turns(clock)
    }
    expect(clock.monotonicMs()).toBe(before.ms)
    await writer.stop()
    const { stalledMs, memoryStalledMs } = engine.statistics()
    expect(stalledMs - memoryStalledMs, "merges were behind").toBeGreaterThan(0)
    expect((await read(engine, `key ${writer.count - 1}`))?.length).toBe(VALUE_BYTES)
    expect((await read(engine, "key 0"))?.length).toBe(VALUE_BYTES)
    await engine.close()
  },
)
