// What can go wrong while a version of another engine or of other partitions is put back: nothing of the present state
// is touched then, and nothing is left behind.

import { type Engine, EngineError, engineNames, type Partitioning } from "@varve/engines"
import { expect, test } from "vitest"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { contentsOf, NEW_TIMELINE, openWritten, restoreAll, runsIn, written } from "./conversion-store.ts"
import { bytes, contents } from "./engine-fixture.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"
import { closeAll, openStore, setAll, slots, snapshotAll, storeContents } from "./store-fixture.ts"

expectNoUnhandledRejections()

const MINE = new Map([["mine", "before"]])

/** One partition of the engine, with a write of its own, beside versions of three partitions of another engine. */
async function beside(
  name: (typeof engineNames)[number],
): Promise<{ seams: SimulatedSeams; engine: Engine }> {
  const seams = await written({ engine: name === "lsm-tree" ? "append-log" : "lsm-tree", partitions: 3 })
  const engines = await openStore({ engine: name, partitions: 1 }, seams, { directory: "/new" })
  await setAll(engines, MINE)
  return { seams, engine: engines[0]! }
}

const back = (engine: Engine, version = 2) => engine.restore({ version, newTimeline: NEW_TIMELINE })

test.each(engineNames)(
  "%s: a disk that fills up in the middle is no harm, and the next try succeeds",
  async (name) => {
    const { seams, engine } = await beside(name)
    await snapshotAll([engine], 9)
    let refused = 0
    for (let free = 0; ; free += 6000) {
      seams.fileSystem.setFreeBytes(free)
      const error = await back(engine).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      if (error === undefined) break
      expect(error).toMatchObject({ reason: "STORAGE_FULL" })
      expect(await contents(engine)).toEqual(MINE)
      refused++
    }
    expect(refused).toBeGreaterThan(2)
    expect(await contents(engine)).toEqual(contentsOf(2))
    seams.fileSystem.setFreeBytes(Number.MAX_SAFE_INTEGER)
    await engine.set(bytes("goes"), bytes("on"))
    await engine.snapshot({ version: 10 })
    await engine.close()
    const { files, named } = runsIn(seams.fileSystem, "/new/0")
    expect(files, "what was given up is gone").toBe(named)
  },
)

test.each(engineNames)(
  "%s: a disk that fails in the middle costs the restore, not the partition",
  async (name) => {
    for (const kind of ["write", "sync", "rename", "read", "syncDirectory"] as const) {
      const { seams, engine } = await beside(name)
      let failed = 0
      for (let nth = 1; nth < 400; nth += kind === "read" ? 97 : 17) {
        seams.fileSystem.failNth(kind, nth)
        const error = await back(engine).then(
          () => undefined,
          (reason: unknown) => reason,
        )
        const wasMet = seams.fileSystem.wasFaultMet
        seams.fileSystem.forgetFaults()
        if (!wasMet) break
        // What a restore does last is to put the present state on disk, and may fail at that: then the partition stops.
        const isPoisoned = await isRefused(
          () => engine.set(bytes("mine"), bytes("before")),
          "ENGINE_POISONED",
        )
        if (isPoisoned) break
        if (error === undefined) continue
        failed++
        expect(await contents(engine), `${kind} ${nth}`).toEqual(MINE)
      }
      expect(failed, kind).toBeGreaterThan(0)
      await engine.close()
    }
  },
)

async function isRefused(work: () => Promise<void> | undefined, reason: string): Promise<boolean> {
  try {
    await work()
    return false
  } catch (error) {
    if (error instanceof EngineError && error.reason === reason) return true
    throw error
  }
}

test.each(engineNames)("%s: a stop in the middle does not wait for the end", async (name) => {
  const { seams, engine } = await beside(name)
  let pages = 0
  const turn = seams.clock.nextTurn.bind(seams.clock)
  const stopped: Promise<void>[] = []
  seams.clock.nextTurn = async () => {
    // The first of the turns between pages.
    if (++pages === 1) stopped.push(engine.close())
    await turn()
  }
  await expect(back(engine)).rejects.toMatchObject({ reason: "ENGINE_CLOSED" })
  await Promise.all(stopped)
  expect(stopped.length).toBe(1)
  seams.clock.nextTurn = turn
  const [again] = await openStore({ engine: name, partitions: 1 }, seams, { directory: "/new" })
  expect(again!.recovery).toBe("continued")
  expect(await contents(again!)).toEqual(MINE)
  await again!.close()
})

test.each(engineNames)(
  "%s: damage of one partition refuses the version, or an older one is taken",
  async (name) => {
    const { seams, engine } = await beside(name)
    // A manifest of partition 1: its records are needed, and no other part says so.
    const manifest = seams.fileSystem
      .paths()
      .find((path) => path.includes("/stores/default/1/") && /0002-\d+\.manifest$/.test(path))!
    seams.fileSystem.flip(manifest, 800)
    await expect(engine.restore({ newest: true })).rejects.toMatchObject({ reason: "DATA_LOSS" })
    expect(await contents(engine)).toEqual(MINE)
    const restored = await engine.restore({ newest: true, fallback: "previous" })
    expect(restored.version).toBe(1)
    expect(restored.skipped.map(({ version }) => version)).toEqual([2])
    expect(await contents(engine)).toEqual(contentsOf(1))
    await engine.close()
  },
)

test.each(engineNames)("%s: damaged records refuse the version before anything is touched", async (name) => {
  const { seams, engine } = await beside(name)
  const packs = seams.fileSystem.paths().filter((path) => path.endsWith(".pack"))
  for (const pack of packs) seams.fileSystem.flip(pack, 100 * 8)
  await expect(back(engine)).rejects.toMatchObject({ reason: "DATA_LOSS" })
  expect(await contents(engine)).toEqual(MINE)
  await engine.close()
})

test("without a rule that says which partition has a key their number cannot change, the engine can", async () => {
  const seams = await written({ engine: "lsm-tree", partitions: 3 })
  const given = { directory: "/new", partitioning: undefined }
  const others = await openStore({ engine: "hybrid-log", partitions: 2 }, seams, given)
  for (const engine of others) {
    await expect(back(engine)).rejects.toMatchObject({
      reason: "ENGINE_MISMATCH",
      message: expect.stringMatching(/3 partitions, this store has 2: no rule/),
    })
  }
  await closeAll(others)
  const same = await openStore({ engine: "hybrid-log", partitions: 3 }, seams, {
    ...given,
    directory: "/same",
  })
  await restoreAll(same, 2)
  expect(await storeContents(same)).toEqual(contentsOf(2))
  await closeAll(same)
})

test("keys that lie where the rule would not have put them are not lost in silence", async () => {
  const seams = simulatedSeams(1)
  const engines = await openWritten({ engine: "append-log", partitions: 2 }, seams)
  const [stray] = [...(await contents(engines[0]!)).keys()]
  await engines[1]!.set(bytes(stray!), bytes("elsewhere"))
  await snapshotAll(engines, 3, "offset 3")
  await closeAll(engines)
  const [engine] = await openStore({ engine: "append-log", partitions: 1 }, seams, { directory: "/new" })
  await expect(back(engine!, 3)).rejects.toMatchObject({
    reason: "ENGINE_MISMATCH",
    message: expect.stringContaining(Buffer.from(stray!).toString("hex")),
  })
  await engine!.close()
})

test("a version whose partitions have positions of their own is refused: the new ones cannot have all of them", async () => {
  const seams = simulatedSeams(1)
  const engines = await openWritten({ engine: "memory", partitions: 2 }, seams)
  await engines[0]!.snapshot({ version: 3, metadata: bytes("offset 30") })
  await engines[1]!.snapshot({ version: 3, metadata: bytes("offset 31") })
  await engines[0]!.snapshot({ version: 4 })
  await closeAll(engines)
  const [engine] = await openStore({ engine: "memory", partitions: 1 }, seams, { directory: "/new" })
  await expect(back(engine!, 3)).rejects.toMatchObject({
    reason: "ENGINE_MISMATCH",
    message: expect.stringContaining("metadata"),
  })
  // One that not all have committed.
  await expect(back(engine!, 4)).rejects.toMatchObject({ reason: "SNAPSHOT_NOT_FOUND" })
  await engine!.close()
})

test("a value above the limit of the new settings is refused by name, not cut", async () => {
  const seams = simulatedSeams(1)
  const engines = await openStore({ engine: "append-log", partitions: 2 }, seams)
  for (const engine of engines) await engine.restore({ empty: true, newTimeline: NEW_TIMELINE })
  await setAll(engines, new Map([["long", "x".repeat(2048)]]))
  await snapshotAll(engines, 1)
  await closeAll(engines)
  const given = { directory: "/new", valueBytesMax: 2047 }
  const [engine] = await openStore({ engine: "lsm-tree", partitions: 1 }, seams, given)
  await expect(engine!.restore({ newest: true })).rejects.toMatchObject({ reason: "VALUE_TOO_LARGE" })
  await engine!.close()
})

test("who has partitions that the store has no more is fenced: nobody would ever see what he acknowledges", async () => {
  const seams = simulatedSeams(1)
  const before = await openWritten({ engine: "append-log", partitions: 5 }, seams)
  const after = await openStore({ engine: "lsm-tree", partitions: 2 }, seams, { directory: "/new" })
  await restoreAll(after, 2)
  for (const [partition, engine] of before.entries()) {
    await expect(engine.snapshot({ version: 3 }), `partition ${partition}`).rejects.toMatchObject({
      reason: "OWNER_FENCED",
    })
  }
  await snapshotAll(after, 3)
  expect(await storeContents(after)).toEqual(contentsOf(2))
  await closeAll(after)
  await closeAll(before)
})

test.each([1, 2])(
  "a version that not all partitions have committed is none: %i new ones take the one before",
  async (partitions) => {
    const seams = simulatedSeams(1)
    const before = await openWritten({ engine: "append-log", partitions: 4 }, seams)
    for (const engine of before.slice(0, 3)) await engine.snapshot({ version: 3 })
    await closeAll(before)
    const after = await openStore({ engine: "append-log", partitions }, seams, { directory: "/new" })
    for (const engine of after) expect((await engine.restore({ newest: true })).version).toBe(2)
    expect(await storeContents(after)).toEqual(contentsOf(2))
    await closeAll(after)
  },
)

test("one partition of a larger store finds the newest version although it has none itself", async () => {
  const seams = await written({ engine: "hybrid-log", partitions: 2 })
  const engines = await openStore({ engine: "hybrid-log", partitions: 5 }, seams, { directory: "/new" })
  for (const engine of engines) {
    const { version, converted } = await engine.restore({ newest: true })
    expect([version, converted?.partitionCount]).toEqual([2, 2])
  }
  expect(await storeContents(engines)).toEqual(contentsOf(2))
  await closeAll(engines)
})

test.each([0, 1])(
  "partition %i of a larger store passes over the newest version when partition 0 of it is damaged",
  async (partition) => {
    const seams = await written({ engine: "hybrid-log", partitions: 2 })
    const manifest = seams.fileSystem
      .paths()
      .find((path) => path.includes("/stores/default/0/") && /0002-\d+\.manifest$/.test(path))!
    seams.fileSystem.flip(manifest, 800)
    const engines = await openStore({ engine: "hybrid-log", partitions: 3 }, seams, { directory: "/new" })
    await expect(engines[partition]!.restore({ newest: true })).rejects.toMatchObject({ reason: "DATA_LOSS" })
    const restored = await engines[partition]!.restore({ newest: true, fallback: "previous" })
    expect([restored.version, restored.skipped.map(({ version }) => version)]).toEqual([1, [2]])
    await closeAll(engines)
  },
)

test("a rule asks only partitions that can have a key", async () => {
  const seams = await written({ engine: "append-log", partitions: 4 })
  const asked: string[] = []
  const watching: Partitioning = {
    ...slots,
    sourcesOf: (partition, partitionCount, sourceCount) => {
      const sources = slots.sourcesOf(partition, partitionCount, sourceCount)
      asked.push(`${partition} of ${partitionCount}: ${sources.join(" ")} of ${sourceCount}`)
      return sources
    },
  }
  const engines = await openStore({ engine: "memory", partitions: 2 }, seams, {
    directory: "/new",
    partitioning: watching,
  })
  await restoreAll(engines, 2)
  expect(asked.sort()).toEqual(["0 of 2: 0 1 of 4", "1 of 2: 2 3 of 4"])
  expect(await storeContents(engines)).toEqual(contentsOf(2))
  await closeAll(engines)
})
