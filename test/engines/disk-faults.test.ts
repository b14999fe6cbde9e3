// A disk that is full, fails to read, writes short, or loses what it should have synced, under every engine.
//
//   full     writes are refused and reads go on; with space again everything goes on by itself
//   reads    a read that fails is told and harms nothing: the next one answers
//   others   versions may fail, and writes may be refused until the engine is opened again; whatever was acknowledged
//            is there after power loss, whole, and reads answer rightly until the end

import { type Engine, type EngineName, engineNames, isEngineError } from "@varve/engines"
import type { ErrorReason } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { type CallKind, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { afterKill, afterPowerLoss, bytes, contents, openTiny, read } from "./engine-fixture.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"

expectNoUnhandledRejections()

/** Resolves whether `act` succeeded; an error must be one of `reasons`. */
async function succeeds(reasons: readonly ErrorReason[], act: () => unknown): Promise<boolean> {
  try {
    await act()
    return true
  } catch (error) {
    if (reasons.some((reason) => isEngineError(error, reason))) return false
    throw error
  }
}

/** What was written, and which versions were asked for and acknowledged. */
class Model {
  readonly state = new Map<string, string>()
  readonly asked = new Map<number, ReadonlyMap<string, string>>()
  acknowledged = 0
  #version = 0

  /** Writes some records; a refusal must have one of the reasons, and then nothing was applied. @returns refusals */
  async write(engine: Engine, round: number, reasons: readonly ErrorReason[]): Promise<number> {
    let refusals = 0
    for (let i = 0; i < 20; i++) {
      const key = `key:${(round * 11 + i * 7) % 60}`
      const value = i % 9 === 0 ? "" : `${round}.${i} `.repeat(5 + i)
      let pending: Promise<void> | undefined
      const isApplied = await succeeds(reasons, () => {
        pending = engine.set(bytes(key), bytes(value))
      })
      if (!isApplied) {
        refusals++
        continue
      }
      if (value === "") this.state.delete(key)
      else this.state.set(key, value)
      // It is applied; this says when to go on, and whether the next write will be taken.
      await succeeds(reasons, () => pending)
    }
    return refusals
  }

  async snapshot(engine: Engine, reasons: readonly ErrorReason[]): Promise<boolean> {
    const version = ++this.#version
    this.asked.set(version, new Map(this.state))
    const isCommitted = await succeeds(reasons, () => engine.snapshot({ version }))
    if (isCommitted) this.acknowledged = version
    return isCommitted
  }
}

/** Steps of free space with which a life is tried, and their number. */
const SPACE_STEP = 1100
const SPACE_STEPS = 12
/** Sleeps of the simulated clock after which a disk with space again must be in use. */
const HEALING_SLEEPS_MAX = 200

test.each(engineNames)("%s: a full disk refuses writes, answers reads, and heals", async (name) => {
  let refusalsInAll = 0
  for (let step = 0; step < SPACE_STEPS; step++) {
    const seams = simulatedSeams(step + 1)
    const engine = await openTiny(name, seams)
    const model = new Model()
    await model.write(engine, 0, [])
    expect(await model.snapshot(engine, [])).toBe(true)
    seams.fileSystem.setFreeBytes(step * SPACE_STEP)
    for (let round = 1; round <= 6; round++) {
      refusalsInAll += await model.write(engine, round, ["STORAGE_FULL", "WRITES_STALLED"])
      if (!(await model.snapshot(engine, ["STORAGE_FULL"]))) refusalsInAll++
      expect(await contents(engine), `${step * SPACE_STEP} bytes free, round ${round}`).toEqual(model.state)
    }
    seams.fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
    let sleeps = 0
    while ((await model.write(engine, 7, ["STORAGE_FULL", "WRITES_STALLED"])) > 0) {
      expect(++sleeps).toBeLessThan(HEALING_SLEEPS_MAX)
      await seams.clock.sleep(100)
    }
    expect(await model.snapshot(engine, [])).toBe(true)
    await model.write(engine, 8, [])
    await engine.close()
    expect(seams.fileSystem.openPaths).toEqual([])
    const again = await openTiny(name, afterPowerLoss(seams, step))
    expect(again.recovery).toBe("continued")
    expect(await contents(again)).toEqual(model.state)
    await again.restore({ version: model.acknowledged })
    expect(await contents(again)).toEqual(model.asked.get(model.acknowledged))
    await again.close()
  }
  expect(refusalsInAll).toBeGreaterThan(SPACE_STEPS)
})

/** Reads that are made to fail, one in each life. */
const READS_MAX = 24

test.each(engineNames)("%s: a read that fails is told and harms nothing", async (name) => {
  let failures = 0
  for (let nth = 1; nth <= READS_MAX; nth++) {
    const before = simulatedSeams(nth)
    const first = await openTiny(name, before)
    const model = new Model()
    await model.write(first, 0, [])
    await model.snapshot(first, [])
    await model.write(first, 1, [])
    await first.close()
    const seams = afterKill(before, nth)
    // Without a cache every read asks the disk.
    const engine = await openTiny(name, seams, undefined, 0)
    seams.fileSystem.failNth("read", nth)
    const answers = async (act: () => unknown): Promise<void> => {
      if (!(await succeeds(["STORAGE_FAILED", "REPOSITORY_FAILED"], act))) failures++
    }
    for (const [key, value] of model.state) {
      await answers(async () => expect(await read(engine, key)).toBe(value))
    }
    await answers(() => engine.getMany([...model.state.keys()].map(bytes)))
    await answers(() => contents(engine))
    await answers(() => engine.listVersions())
    seams.fileSystem.forgetFaults()
    // Nothing of it lasts: everything answers, and writes are taken.
    expect(await contents(engine)).toEqual(model.state)
    await engine.snapshot({ version: 10 })
    await engine.restore({ version: 1 })
    expect(await contents(engine)).toEqual(model.asked.get(1))
    await engine.set(bytes("goes on"), bytes("yes"))
    await engine.snapshot({ version: 20 })
    await engine.close()
    expect(seams.fileSystem.openPaths).toEqual([])
  }
  // The naive engine holds everything in memory: only its versions are read.
  expect(failures).toBeGreaterThan(name === "memory" ? 0 : 3)
})

/** Calls that change the disk. A write that fails was written in part; a sync that fails has lost what it had. */
const changingKinds = [
  "write",
  "sync",
  "syncDirectory",
  "rename",
  "link",
  "remove",
  "truncate",
  "open",
] as const
/** One call of so many of a kind is made to fail, each in a life of its own. */
const FAULT_STRIDE = 7
const refusedWrites = ["ENGINE_POISONED", "WRITES_STALLED", "STORAGE_FAILED"] as const
const failedVersions = ["ENGINE_POISONED", "STORAGE_FAILED", "REPOSITORY_FAILED"] as const

interface Life {
  readonly seams: SimulatedSeams
  readonly model: Model
  readonly isClosed: boolean
  readonly isPoisoned: boolean
}

/** Writes and versions; the `nth` call of `kind` fails. */
async function liveWithFault(name: EngineName, kind: CallKind, nth: number): Promise<Life> {
  const seams = simulatedSeams(nth)
  const engine = await openTiny(name, seams)
  seams.fileSystem.failNth(kind, nth)
  const model = new Model()
  for (let round = 0; round < 6; round++) {
    await model.write(engine, round, refusedWrites)
    await model.snapshot(engine, failedVersions)
  }
  await model.write(engine, 7, refusedWrites)
  // Reads go on whatever was refused; one call fails in all, and it may be an open of theirs.
  const isRead = await succeeds(["STORAGE_FAILED"], async () =>
    expect(await contents(engine)).toEqual(model.state),
  )
  if (!isRead) expect(await contents(engine)).toEqual(model.state)
  const isPoisoned = !(await succeeds(["ENGINE_POISONED"], () => engine.set(bytes("last"), bytes("one"))))
  if (isPoisoned) expect(await model.snapshot(engine, ["ENGINE_POISONED"])).toBe(false)
  else model.state.set("last", "one")
  const isClosed = await succeeds(["STORAGE_FAILED"], () => engine.close())
  expect(seams.fileSystem.openPaths).toEqual([])
  return { seams, model, isClosed: isClosed && !isPoisoned, isPoisoned }
}

async function expectKept(name: EngineName, { seams, model, isClosed }: Life): Promise<void> {
  const engine = await openTiny(name, afterPowerLoss(seams, 1))
  if (isClosed) expect(engine.recovery).toBe("continued")
  if (engine.recovery === "continued") {
    expect(await contents(engine)).toEqual(model.state)
  } else {
    const { version } = engine.position
    expect(version).toBeGreaterThanOrEqual(model.acknowledged)
    expect(await contents(engine)).toEqual(model.asked.get(version) ?? new Map())
  }
  for (const { version } of await engine.listVersions()) {
    await engine.restore({ version })
    expect(await contents(engine)).toEqual(model.asked.get(version))
  }
  await engine.set(bytes("goes on"), bytes("yes"))
  await engine.snapshot({ version: 100 })
  await engine.close()
}

test.each(engineNames)(
  "%s: what was acknowledged survives a call to the disk that fails, and the power loss after it",
  async (name) => {
    const poisonedBy = new Set<CallKind>()
    let lives = 0
    for (const kind of changingKinds) {
      for (let nth = 1; ; nth += FAULT_STRIDE) {
        try {
          const life = await liveWithFault(name, kind, nth)
          if (!life.seams.fileSystem.wasFaultMet) break
          lives++
          if (life.isPoisoned) poisonedBy.add(kind)
          await expectKept(name, life)
        } catch (error) {
          throw new Error(`${name}, ${kind} ${nth} fails: ${(error as Error).message}`, { cause: error })
        }
      }
    }
    expect(lives).toBeGreaterThan(20)
    expect(poisonedBy).toContain("sync")
  },
)
