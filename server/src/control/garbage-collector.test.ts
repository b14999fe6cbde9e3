// The collector of a daemon: once at a time, and a stop does not wait for what it is at.

import { deepStrictEqual, rejects, strictEqual } from "node:assert"
import { EngineError } from "@varve/engines"
import { DrillHold, type ThreadExecutor } from "@varve/engines/internal"
import { Registry } from "prom-client"
import { test } from "vitest"
import { type LogLine, logTo } from "../log.ts"
import { GarbageMetrics } from "../metrics/garbage-metrics.ts"
import { GarbageCollector } from "./garbage-collector.ts"

const RESULT = {
  ...{
    condemn: ["a"],
    rewrite: [],
    remove: ["b", "c"],
    pardon: [],
    forget: [],
    superseded: ["m"],
    probes: [],
  },
  ...{
    packCount: 5,
    manifestCount: 7,
    imageCount: 2,
    bytes: 100,
    bytesLive: 60,
    bytesRemoved: 30,
    bytesRewritten: 0,
  },
}

/** A thread whose jobs end when the test says so, or when they are told to stop. */
class HeldThread {
  isClosed = false
  end: (result: object | Error) => void = () => undefined

  run(_job: unknown, _input: unknown, _transfer: unknown, signal: AbortSignal): Promise<object> {
    return new Promise((resolve, reject) => {
      this.end = (result) => (result instanceof Error ? reject(result) : resolve(result))
      signal.addEventListener("abort", () => reject(new EngineError("ENGINE_CLOSED", "told to stop")))
    })
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

function makeCollector(): {
  collector: GarbageCollector
  threads: HeldThread[]
  lines: LogLine[]
  figure: (name: string) => Promise<number | undefined>
} {
  const threads: HeldThread[] = []
  const lines: LogLine[] = []
  const registry = new Registry()
  const collector = new GarbageCollector({
    url: "file:/repository",
    settings: { intervalMs: 0, graceMs: 1, liveMin: 0 },
    clock: { monotonicMs: () => 0 },
    log: logTo((line) => lines.push(line)),
    metrics: new GarbageMetrics(registry),
    hold: new DrillHold(),
    startThread: () => {
      const thread = new HeldThread()
      threads.push(thread)
      return thread as unknown as ThreadExecutor
    },
  })
  const figure = async (name: string): Promise<number | undefined> =>
    (await registry.getSingleMetric(name)?.get())?.values[0]?.value
  return { collector, threads, lines, figure }
}

const reason = (name: string) => (error: unknown) =>
  error instanceof Error && "reason" in error && error.reason === name

test("collections: one at a time, each with a thread that is given back; figures and a line in the log", async () => {
  const { collector, threads, lines, figure } = makeCollector()
  const first = collector.collect({ dryRun: false })
  await rejects(collector.collect({ dryRun: true }), reason("OVERLOADED"))
  await rejects(collector.why("0".repeat(32)), reason("OVERLOADED"))
  threads[0]!.end(RESULT)
  const { removed, condemned, superseded, bytesRemoved, packs } = await first
  deepStrictEqual([removed, condemned, superseded, bytesRemoved, packs], [2, 1, 1, 30n, 5])
  strictEqual(threads[0]!.isClosed, true)
  strictEqual(await figure("varve_gc_repository_bytes"), 70)
  const second = collector.collect({ dryRun: true })
  threads[1]!.end(RESULT)
  await second
  deepStrictEqual(
    lines.map(({ event }) => event),
    ["garbage-collected"],
  )
})

test("a collection that fails is counted and told; the next one may run", async () => {
  const { collector, threads, lines, figure } = makeCollector()
  const first = collector.collect({ dryRun: false })
  threads[0]!.end(new EngineError("DATA_LOSS", "a manifest is damaged"))
  await rejects(first, reason("DATA_LOSS"))
  deepStrictEqual(
    [lines[0]!.event, await figure("varve_gc_failures_total")],
    ["garbage-collection-failed", 1],
  )
  const second = collector.collect({ dryRun: true })
  threads[1]!.end(RESULT)
  await second
})

test("a stop ends what runs, which is no failure, and begins nothing any more", async () => {
  const { collector, threads, lines, figure } = makeCollector()
  const running = rejects(collector.collect({ dryRun: false }), reason("ENGINE_CLOSED"))
  await collector.close()
  await running
  strictEqual(threads[0]!.isClosed, true)
  await rejects(collector.collect({ dryRun: false }), reason("SHUTTING_DOWN"))
  deepStrictEqual([lines, threads.length, await figure("varve_gc_failures_total")], [[], 1, 0])
})
