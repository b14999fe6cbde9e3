// What an engine says of itself, on every engine: what no version holds, where the time of a snapshot goes, sessions.

import { type Engine, type EngineName, engineNames } from "@varve/engines"
import type { Executor, Seams } from "@varve/engines/internal"
import { encodeRecords } from "@varve/proto"
import { expect, onTestFinished, test } from "vitest"
import { SimulatedClock, simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, diskEngines, openDurable, openTiny } from "./engine-fixture.ts"
import { GatedExecutor } from "./gated-executor.ts"

const opens = { snapshot: openTiny, log: openDurable } as const
const each = engineNames.flatMap((name) =>
  (["snapshot", "log"] as const).map((durability) => [name, durability] as const),
)

const VALUE = bytes("value")
/** Encoded: two lengths of one byte, flags, a key of two, and the value. */
const RECORD_BYTES = 3 + 2 + VALUE.length

/** Records and bytes that no version holds, and the newest version's number. */
function unsaved(engine: Engine): { records: number; bytes: number; version: number } {
  const { recordsUnsaved, bytesUnsaved } = engine.statistics()
  return { records: recordsUnsaved, bytes: bytesUnsaved, version: engine.position.version }
}

async function write(engine: Engine, keys: readonly string[]): Promise<void> {
  for (const key of keys) await engine.set(bytes(key), VALUE)
}

function records(count: number): { readonly records: number; readonly bytes: number } {
  return { records: count, bytes: count * RECORD_BYTES }
}

test.each(each)(
  "%s, %s: what no version holds is known by every way of writing",
  async (name, durability) => {
    const seams = simulatedSeams(1)
    const engine = await opens[durability](name, seams)
    await write(engine, ["k1", "k1", "k2"])
    await engine.write([
      { key: bytes("k3"), value: VALUE },
      { key: bytes("k4"), value: VALUE },
    ])
    await engine.writeEncoded(encodeRecords([{ key: bytes("k5"), value: VALUE }])).pending
    await engine.write([{ key: bytes("k6"), value: VALUE, ifAbsent: true }])
    expect(unsaved(engine)).toEqual({ ...records(7), version: 0 })
    const committed = engine.snapshot({ version: 3 })
    const sealedMs = seams.clock.nowMs()
    // Behind the seal: the version does not hold it.
    await write(engine, ["k7"])
    await committed
    expect(unsaved(engine)).toEqual({ ...records(1), version: 3 })
    expect(engine.position.sealedMs).toBe(sealedMs)
    await engine.delete(bytes("k1"))
    expect(engine.statistics()).toMatchObject({ recordsUnsaved: 2, recordsWritten: 9 })
    await engine.close()
  },
)

test.each(each)("%s, %s: a stop, restores and replaced states keep it", async (name, durability) => {
  const seams = simulatedSeams(1)
  let engine = await opens[durability](name, seams)
  await write(engine, ["k1", "k2"])
  await engine.snapshot({ version: 1 })
  const { sealedMs } = engine.position
  await write(engine, ["k3", "k4", "k5"])
  await engine.close()
  engine = await opens[durability](name, seams)
  expect(unsaved(engine)).toEqual({ ...records(3), version: 1 })
  expect([engine.position.sealedMs, engine.statistics().recordsWritten]).toEqual([sealedMs, 0])
  await write(engine, ["k6"])
  const { replaced } = await engine.restore({ version: 1 })
  expect(unsaved(engine)).toEqual({ ...records(0), version: 1 })
  expect(engine.position.sealedMs).toBe(sealedMs)
  await engine.restore({ replaced })
  expect(unsaved(engine)).toEqual({ ...records(4), version: 1 })
  await engine.restore({ empty: true })
  expect([unsaved(engine), engine.position.sealedMs]).toEqual([{ ...records(0), version: 0 }, 0])
  await engine.close()
})

test.each(engineNames)("%s: after a crash it is what the log holds behind the version", async (name) => {
  const seams = simulatedSeams(1)
  const engine = await openDurable(name, seams)
  await write(engine, ["k1", "k2"])
  await engine.snapshot({ version: 1 })
  const { sealedMs } = engine.position
  // Several checkpoints are made on the way.
  for (let i = 0; i < 600; i++) await engine.set(bytes("k3"), Buffer.alloc(100, i))
  const before = unsaved(engine)
  expect(before).toMatchObject({ records: 600, version: 1 })
  const again = await openDurable(name, afterKill(seams))
  expect(again.recovery).toBe("replayed")
  expect([unsaved(again), again.position.sealedMs]).toEqual([before, sealedMs])
  await again.close()
})

/** Seams on whose clock jobs take time: by their names, else 10 ms. */
function slowJobs(delays: Readonly<Record<string, number>>): Seams & { readonly clock: SimulatedClock } {
  const clock = new SimulatedClock()
  const seams = simulatedSeams(1, { clock })
  const executor: Executor = {
    run: async (job, input, transfer, signal) => {
      await clock.advance(delays[job.name] ?? 10)
      return seams.executor.run(job, input, transfer, signal)
    },
    close: () => seams.executor.close(),
  }
  return { ...seams, executor }
}

async function opened(name: EngineName, seams: Seams): Promise<Engine> {
  const engine = await openTiny(name, seams)
  onTestFinished(() => engine.close())
  return engine
}

test.each(engineNames)("%s: the stages of a snapshot are what took the time, and all of it", async (name) => {
  const engine = await opened(name, slowJobs({ cutRun: 1000, writePack: 100_000 }))
  await write(engine, ["k1"])
  const [first, second] = await Promise.all([
    engine.snapshot({ version: 1 }),
    engine.snapshot({ version: 2 }),
  ])
  const { stages, totalMs, sealMs } = first
  expect([sealMs, stages.waitMs, stages.chunkMs, stages.uploadMs, stages.commitMs]).toEqual([
    0, 0, 1000, 100_000, 0,
  ])
  // A dump is made without a job.
  expect(stages.flushMs > 0).toBe(name !== "memory")
  expect(stages.flushMs % 10).toBe(0)
  expect(totalMs).toBe(stages.flushMs + 101_000)
  // It waits for the first one, and has nothing of its own to store.
  expect(second.stages.waitMs).toBeGreaterThan(100_000)
  expect(second.stages.uploadMs % 100_000).toBe(0)
  const sum = Object.values(second.stages).reduce((all, ms) => all + ms, 0)
  expect(sum).toBe(second.totalMs)
})

test.each(diskEngines)(
  "%s: merges that ran, and for how long; nothing is due when they are done",
  async (name) => {
    const seams = slowJobs({})
    const engine = await opened(name, seams)
    const { clock } = seams
    for (let version = 1; version <= 5; version++) {
      for (let i = 0; i < 40; i++) await engine.set(bytes(`key ${i}`), Buffer.alloc(200, version))
      await engine.snapshot({ version })
    }
    for (let turn = 0; engine.statistics().mergeDebt.runs > 0 || turn < 100; turn++) {
      expect(turn).toBeLessThan(10_000)
      await clock.advance(1)
      await clock.nextTurn()
    }
    const { mergeCount, mergingMs, mergeDebt, mergeFailureCount } = engine.statistics()
    expect(mergeCount).toBeGreaterThan(0)
    expect(mergingMs).toBeGreaterThanOrEqual(mergeCount * 10)
    expect([mergeDebt, mergeFailureCount]).toEqual([{ runs: 0, bytes: 0 }, 0])
  },
)

test.each(diskEngines)(
  "%s: writers that wait for memory show while they wait, each moment once",
  async (name) => {
    const clock = new SimulatedClock()
    const seams = simulatedSeams(1, { clock })
    const executor = new GatedExecutor(seams.executor, () => true)
    const engine = await opened(name, { ...seams, executor })
    const pending: Promise<void>[] = []
    for (let i = 0; pending.length < 3; i++) {
      const written = engine.set(bytes(`key ${i}`), Buffer.alloc(200, i))
      if (written !== undefined) pending.push(written)
      await clock.nextTurn()
    }
    await clock.advance(70)
    const { memoryStallCount, memoryStalledMs, stalledMs } = engine.statistics()
    expect([memoryStallCount, memoryStalledMs, stalledMs]).toEqual([3, 70, 70])
    executor.open()
    await Promise.all(pending)
    await clock.advance(1000)
    expect(engine.statistics().memoryStalledMs).toBe(70)
  },
)

test.each(engineNames)("%s: sessions that are known, and frames that came again", async (name) => {
  const engine = await opened(name, simulatedSeams(1))
  const batch = encodeRecords([{ key: bytes("k1"), value: VALUE }])
  for (const session of [1, 2, 3]) {
    for (const resent of [false, true, true]) {
      const frame = { session: new Uint8Array(16).fill(session), sequence: 1, unanswered: 0, resent }
      await engine.writeEncoded(batch, undefined, frame).pending
    }
  }
  expect(engine.statistics()).toMatchObject({ sessionCount: 3, resentFrameCount: 6, recordsWritten: 3 })
})

test.each(diskEngines)("%s: a full disk shows until it is not, a failed one for ever", async (name) => {
  const seams = simulatedSeams(1)
  const engine = await opened(name, seams)
  const flags = (): readonly boolean[] => {
    const { isStorageFull, isPoisoned } = engine.statistics()
    return [isStorageFull, isPoisoned]
  }
  await write(engine, ["k1"])
  expect(flags()).toEqual([false, false])
  seams.fileSystem.setFreeBytes(0)
  expect(await refusal(engine.snapshot({ version: 1 }))).toBe("STORAGE_FULL")
  expect(flags()).toEqual([true, false])
  seams.fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
  await engine.snapshot({ version: 2 })
  expect(flags()).toEqual([false, false])
  await write(engine, ["k2"])
  seams.fileSystem.failNth("sync", 1)
  expect(await refusal(engine.snapshot({ version: 3 }))).toBe("STORAGE_FAILED")
  expect(flags()).toEqual([false, true])
})

async function refusal(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "none",
    (error: { reason: string }) => error.reason,
  )
}
