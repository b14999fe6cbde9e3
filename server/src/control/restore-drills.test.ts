// Drills of a daemon: which versions they are about, what they tell, when the next one comes, and how they end.

import { EngineError } from "@varve/engines"
import { DrillHold, type DrillOptions, type DrillResult, type ThreadExecutor } from "@varve/engines/internal"
import { Registry } from "prom-client"
import { expect, test } from "vitest"
import { type LogLine, logTo } from "../log.ts"
import { DrillMetrics } from "../metrics/drill-metrics.ts"
import { familiesOf } from "../metrics/families.ts"
import type { DrillHistory, DrillReport } from "./drill-file.ts"
import { DrillHistories } from "./drill-histories.ts"
import { RestoreDrills } from "./restore-drills.ts"
import type { Store } from "./store.ts"

const DAY_MS = 24 * 60 * 60 * 1000
const HOUR_MS = 60 * 60 * 1000
const PASSED: DrillResult = {
  ...{ damage: [], damagedPacks: [], bytesRead: 1200, stateBytes: 1000, createdMs: 5000, seconds: 9 },
  recovery: { firstAnswerSeconds: 2, completeSeconds: 8 },
}
const FAILED: DrillResult = {
  ...PASSED,
  damage: ["packs/records/a.pack is damaged"],
  damagedPacks: ["a"],
  recovery: undefined,
}

/** A store of three partitions, the last of them another daemon's by now; each is of twice the bytes drilled. */
function makeStore(): Store {
  const summary = { timeline: "a", version: 4, epoch: 1, createdMs: 1, partitionCount: 3 }
  const partitions = [false, false, true].map((isFenced, index) => {
    const statistics = () => ({ diskBytes: 1000 })
    return { index, engine: { owner: { epoch: 1, isFenced }, damagedVersions: () => [], statistics } }
  })
  const restorable = async (asked: readonly { readonly index: number }[]) =>
    asked.map(({ index }) => ({ partition: index, versions: [summary], line: [summary] }))
  const settings = { name: "s", engine: "hybrid-log", restoreMode: "lazy" }
  return { settings, partitions, restorable } as unknown as Store
}

/** Of the file, which outlives the daemon. */
interface Kept {
  content?: DrillHistory
  failure?: EngineError
}

const NOW_MS = 20 * DAY_MS
/** All the chance there is: what comes by chance comes as late as it may. */
const LATE = { bytes: (count: number) => new Uint8Array(count).fill(0xff) }
const SOON_MS = Math.ceil((5 * 60 * 1000 * 0xffff) / 0x10000)

function makeDrills(kept: Kept = {}) {
  const jobs: { readonly options: DrillOptions; end(result: DrillResult | Error): void }[] = []
  const sleeps: { readonly ms: number; wake(): void }[] = []
  const lines: LogLine[] = []
  const readiness: boolean[] = []
  const distrusted: string[] = []
  const registry = new Registry()
  const store = makeStore()
  const hold = new DrillHold()
  const files = {
    read: async () => {
      if (kept.failure !== undefined) throw kept.failure
      return kept.content
    },
    write: async (_store: string, history: DrillHistory) => {
      if (kept.failure !== undefined) throw kept.failure
      kept.content = history
    },
  }
  const log = logTo((line) => lines.push(line))
  const run = (_job: unknown, options: DrillOptions, _transfer: unknown, signal: AbortSignal) =>
    new Promise<DrillResult>((resolve, reject) => {
      jobs.push({ options, end: (result) => (result instanceof Error ? reject(result) : resolve(result)) })
      signal.addEventListener("abort", () => reject(new EngineError("ENGINE_CLOSED", "told to stop")))
    })
  const drills = new RestoreDrills({
    ...{ stores: [store], url: "file:/repository", hold, log, random: LATE },
    settings: { everyMs: DAY_MS, bytesPerSecond: 500, failReadiness: true },
    clock: {
      nowMs: () => NOW_MS,
      sleep: (ms, signal) =>
        new Promise((wake) => {
          sleeps.push({ ms, wake })
          signal?.addEventListener("abort", () => wake())
        }),
    },
    metrics: new DrillMetrics(registry, [store]),
    histories: new DrillHistories(files, log),
    startThread: () => ({ run, close: async () => undefined }) as unknown as ThreadExecutor,
    onReadiness: (isReady) => readiness.push(isReady),
    onDamagedPacks: (packs) => distrusted.push(...packs),
  })
  const figures = async (name: string): Promise<number[]> =>
    (await familiesOf(registry)).filter((family) => family.name === name).flatMap(({ values }) => [...values])
  return { drills, store, hold, jobs, sleeps, lines, readiness, distrusted, figures }
}

/** Until nothing more happens by itself. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

test("a drill is about the newest version of the partitions that are still this daemon's, and one at a time", async () => {
  const { drills, store, jobs, figures } = makeDrills()
  const running = drills.drill(store)
  await settle()
  expect(jobs[0]!.options).toMatchObject({
    ...{ store: "s", bytesPerSecond: 500, answersFromIndex: true },
    targets: [0, 1].map((partition) => ({ partition, timeline: "a", version: 4 })),
  })
  await expect(drills.drill(store)).rejects.toMatchObject({ reason: "OVERLOADED" })
  jobs[0]!.end(PASSED)
  expect(await running).toMatchObject({ version: 4, isPassed: true, endedMs: NOW_MS })
  expect(await figures("varve_snapshot_last_verified_timestamp_seconds")).toEqual([NOW_MS / 1000])
  expect(await figures("varve_snapshot_last_verified_created_timestamp_seconds")).toEqual([5])
  // The state of three partitions has three times the bytes that were drilled.
  expect(await figures("varve_recovery_predicted_seconds")).toEqual([6, 24])
  await drills.close()
})

test("by schedule: after a failure the next drill comes sooner, and readiness follows the last one", async () => {
  const { drills, jobs, sleeps, lines, readiness, distrusted, figures } = makeDrills()
  drills.schedule()
  for (const [at, result] of [PASSED, FAILED, PASSED].entries()) {
    await settle()
    sleeps[at]!.wake()
    await settle()
    jobs[at]!.end(result)
  }
  await settle()
  expect(sleeps.map(({ ms }) => Math.ceil(ms))).toEqual([SOON_MS, DAY_MS, HOUR_MS, DAY_MS])
  expect(readiness).toEqual([true, false, true])
  expect(distrusted).toEqual(["a"])
  expect(await figures("varve_drills_total")).toEqual([2, 1, 0])
  expect(lines.map(({ level, event }) => `${level} ${event}`)).toEqual([
    "info drill-passed",
    "error drill-failed",
    "info drill-passed",
  ])
  await drills.close()
})

test("a drill that could not be finished has found nothing out: what was known stays", async () => {
  const { drills, store, jobs, lines, figures } = makeDrills()
  for (const [at, result] of [FAILED, new EngineError("REPOSITORY_FAILED", "no answer")].entries()) {
    const running = drills.drill(store)
    await settle()
    jobs[at]!.end(result)
    await running.catch(() => undefined)
  }
  expect(lines.at(-1)).toMatchObject({ level: "warn", event: "drill-incomplete" })
  expect(await figures("varve_drills_total")).toEqual([0, 1, 1])
  expect(await figures("varve_drill_failing")).toEqual([1])
  expect(drills.failing).toEqual(["s"])
  await drills.close()
})

test("a drill whose version cannot be told is one that could not be finished; without a version nothing is said", async () => {
  const { drills, store, sleeps, lines, figures } = makeDrills()
  drills.schedule()
  const reasons = ["SNAPSHOT_NOT_FOUND", "DATA_LOSS", "REPOSITORY_FAILED"] as const
  for (const [at, reason] of reasons.entries()) {
    store.restorable = () => Promise.reject(new EngineError(reason, "in the listing"))
    await settle()
    sleeps[at]!.wake()
    await settle()
  }
  const warned = lines.filter(({ level }) => level !== "debug")
  expect(warned.map(({ level, event }) => `${level} ${event}`)).toEqual([
    "warn drill-incomplete",
    "warn drill-incomplete",
  ])
  expect(await figures("varve_drills_total")).toEqual([0, 0, 2])
  await drills.close()
})

test("snapshots hold drills up; a stop ends the drill that runs, and says nothing about it", async () => {
  const { drills, store, hold, lines } = makeDrills()
  const running = drills.drill(store)
  await settle()
  let commit: () => void = () => undefined
  const snapshot = drills.giveWay(() => new Promise<void>((resolve) => (commit = resolve)))
  expect(hold.reason).toBe("snapshot")
  commit()
  await snapshot
  expect(hold.reason).toBeUndefined()
  const ended = expect(running).rejects.toMatchObject({ reason: "ENGINE_CLOSED" })
  await drills.close()
  await ended
  expect([hold.isStopped, lines]).toEqual([true, []])
  await expect(drills.drill(store)).rejects.toMatchObject({ reason: "SHUTTING_DOWN" })
})

const { damagedPacks: _packs, ...figures } = PASSED
const REPORT = {
  ...figures,
  version: 4,
  timeline: "a",
  isPassed: true,
  endedMs: NOW_MS - 6 * HOUR_MS,
} as DrillReport
const FAILURE: DrillReport = {
  ...REPORT,
  ...{ isPassed: false, damage: FAILED.damage, recovery: null, endedMs: NOW_MS - HOUR_MS / 4, seconds: 3 },
}

test("a start goes on where the last one was: what drills have found is shown again, and the next comes when it is due", async () => {
  const kept: Kept = {}
  const before = makeDrills(kept)
  await before.drills.recall()
  for (const [at, result] of [PASSED, FAILED].entries()) {
    const running = before.drills.drill(before.store)
    await settle()
    before.jobs[at]!.end(result)
    await running
  }
  await before.drills.close()
  expect(kept.content).toMatchObject({
    scheduledSinceMs: NOW_MS,
    last: { isPassed: false, damage: FAILED.damage, recovery: null },
    passed: { isPassed: true, recovery: PASSED.recovery },
  })

  const { drills, readiness, figures } = makeDrills(kept)
  await drills.recall()
  expect(drills.reportOf("s")).toEqual(kept.content!.last)
  expect([drills.failing, readiness]).toEqual([["s"], [false]])
  expect(await figures("varve_drill_failing")).toEqual([1])
  expect(await figures("varve_drill_interval_seconds")).toEqual([DAY_MS / 1000])
  expect(await figures("varve_drill_unproven_since_timestamp_seconds")).toEqual([NOW_MS / 1000])
  expect(await figures("varve_snapshot_last_verified_timestamp_seconds")).toEqual([NOW_MS / 1000])
  expect(await figures("varve_recovery_predicted_seconds")).toEqual([6, 24])
  // Counted are the drills since the start.
  expect(await figures("varve_drills_total")).toEqual([0, 0, 0])
  await drills.close()
})

test.each<readonly [string, DrillReport | null, number]>([
  ["a passed one a quarter of a day ago", REPORT, 18 * HOUR_MS],
  ["a failed one a quarter of an hour ago", FAILURE, 0.75 * HOUR_MS],
  ["a passed one long ago", { ...REPORT, endedMs: 1 }, SOON_MS],
  [
    "a passed one of which the clock says that it is still to come",
    { ...REPORT, endedMs: 2 * NOW_MS },
    DAY_MS,
  ],
  ["none", null, SOON_MS],
])("the first drill after a start comes by the last one before it: %s", async (_name, last, dueMs) => {
  const { drills, sleeps } = makeDrills({ content: { scheduledSinceMs: 1, last, passed: null } })
  await drills.recall()
  drills.schedule()
  expect(Math.ceil(sleeps[0]!.ms)).toBe(dueMs)
  await drills.close()
})

test("since when nothing is proven: since drills are on, then since the last one that passed", async () => {
  const unproven = "varve_drill_unproven_since_timestamp_seconds"
  const scheduledSinceMs = REPORT.endedMs - DAY_MS
  for (const [passed, sinceMs] of [
    [null, scheduledSinceMs],
    [REPORT, REPORT.endedMs],
  ] as const) {
    const { drills, store, jobs, figures } = makeDrills({
      content: { scheduledSinceMs, last: FAILURE, passed },
    })
    await drills.recall()
    expect(await figures(unproven)).toEqual([sinceMs / 1000])
    for (const [at, result, thenMs] of [[0, FAILED, sinceMs] as const, [1, PASSED, NOW_MS] as const]) {
      const running = drills.drill(store)
      await settle()
      jobs[at]!.end(result)
      await running
      expect(await figures(unproven)).toEqual([thenMs / 1000])
    }
    await drills.close()
  }
})

test("a file that cannot be read or written is told, and keeps no drill from its end", async () => {
  const failure = new EngineError("DATA_LOSS", "drill.json is damaged")
  const { drills, store, jobs, lines, figures } = makeDrills({ failure })
  await drills.recall()
  const running = drills.drill(store)
  await settle()
  jobs[0]!.end(PASSED)
  expect(await running).toMatchObject({ isPassed: true })
  expect(await figures("varve_drill_unproven_since_timestamp_seconds")).toEqual([NOW_MS / 1000])
  expect(lines.map(({ level, event }) => `${level} ${event}`)).toEqual([
    "warn drill-file-unread",
    "warn drill-file-unwritten",
    "warn drill-file-unwritten",
    "info drill-passed",
  ])
  await drills.close()
})
