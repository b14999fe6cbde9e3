// A version that one engine has written with so many partitions is put back by another engine with other partitions.

import { type Engine, engineNames, type RestoreResult } from "@varve/engines"
import { expect, test } from "vitest"
import { simulatedSeams, stopEverywhere } from "../simulation/index.ts"
import { collidingPairs } from "./colliding-keys.ts"
import { colliding, contentsOf, NEW_TIMELINE, restoreAll, runsIn, written } from "./conversion-store.ts"
import { contents, read } from "./engine-fixture.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"
import { type Contents, closeAll, openStore, setAll, snapshotAll, storeContents } from "./store-fixture.ts"

expectNoUnhandledRejections()

const layouts = [
  [1, 1],
  [1, 4],
  [4, 1],
  [3, 5],
] as const

/** Every engine to every engine, each pair with two of the layouts, each layout with half of the pairs. */
const pairs = engineNames.flatMap((before, i) =>
  engineNames.map((after, j) => {
    const own = [layouts[(i + j) % layouts.length]!, layouts[(i + j + 1 + (j % 2)) % layouts.length]!]
    return [
      before,
      after,
      own.filter(([sources, targets]) => before !== after || sources !== targets),
    ] as const
  }),
)

test.each(pairs)(
  "%s to %s: every version comes over whole, and is gone on from",
  async (before, after, own) => {
    for (const [sources, targets] of own) {
      const seams = colliding(await written({ engine: before, partitions: sources }))
      const engines = await openStore({ engine: after, partitions: targets }, seams, { directory: "/new" })
      const mine = new Map([["mine", "before"]])
      await setAll(engines, mine)

      const results = await restoreAll(engines, 1)
      const where = `${sources} to ${targets} partitions`
      expect(await storeContents(engines), where).toEqual(contentsOf(1))
      for (const result of results) {
        expect(result).toMatchObject({ version: 1, converted: { engine: before, partitionCount: sources } })
        expect(Buffer.from(result.metadata).toString()).toBe("offset 1")
      }
      for (const engine of engines) {
        const { bytesLocal, diskBytes } = engine.statistics()
        expect(bytesLocal, `${where}: all is here`).toBe(diskBytes)
      }
      // Reads that go by the index, not by a scan.
      for (const pair of collidingPairs) {
        for (const key of pair) {
          const found = await Promise.all(engines.map((engine) => read(engine, key)))
          expect(found.filter((value) => value !== undefined)).toEqual([contentsOf(1).get(key)])
        }
      }
      await restoreAll(engines, 2)
      expect(await storeContents(engines), where).toEqual(contentsOf(2))

      await setAll(engines, new Map([["key:1", "3"]]))
      await snapshotAll(engines, 3)
      await setAll(engines, new Map([["key:2", "in no version"]]))
      await restoreAll(engines, 3)
      expect(await storeContents(engines), where).toEqual(contentsOf(2).set("key:1", "3"))
      for (const [index, engine] of engines.entries()) {
        await engine.restore({ replaced: results[index]!.replaced })
      }
      expect(await storeContents(engines), where).toEqual(mine)
      await closeAll(engines)
    }
  },
)

test.each(engineNames)("%s: a stop in the middle of a restart, and the old layout again", async (name) => {
  const before = { engine: name, partitions: 2 }
  const seams = await written(before)
  const other = { engine: engineNames.find((each) => each !== name)!, partitions: 3 }
  let engines = await openStore(other, seams)
  await restoreAll(engines, 2)
  await closeAll(engines)
  // A clean stop keeps what was converted.
  engines = await openStore(other, seams)
  expect(engines.map(({ recovery }) => recovery)).toEqual(["continued", "continued", "continued"])
  expect(await storeContents(engines)).toEqual(contentsOf(2))
  await setAll(engines, new Map([["key:1", "3"]]))
  await snapshotAll(engines, 3)
  await closeAll(engines)
  // Who has the old directories finds that somebody has gone on, and converts back.
  engines = await openStore(before, seams)
  expect(engines[0]!.recovery).toBe("overtaken")
  await restoreAll(engines, 3)
  expect(await storeContents(engines)).toEqual(contentsOf(2).set("key:1", "3"))
  await closeAll(engines)
})

async function isEither(
  engines: readonly Engine[],
  before: Contents,
  after: Contents,
): Promise<"before" | "after"> {
  const present = await storeContents(engines)
  const isAfter = present.has("key:1")
  expect(present).toEqual(isAfter ? after : before)
  return isAfter ? "after" : "before"
}

test.each(engineNames)(
  "%s: whatever call is the last one, the state is the old one or the new one",
  async (name) => {
    const from = { engine: name === "lsm-tree" ? "hybrid-log" : "lsm-tree", partitions: 3 } as const
    const seams = simulatedSeams(3, { fileSystem: (await written(from)).fileSystem })
    const to = { engine: name, partitions: 1 }
    let engines = await openStore(to, seams, { directory: "/new" })
    const before = new Map([["mine", "before"]])
    await setAll(engines, before)
    await snapshotAll(engines, 7)
    let isDone = false
    const stops = await stopEverywhere(
      seams.fileSystem,
      async () => {
        await engines[0]!.restore({ version: 2, newTimeline: NEW_TIMELINE })
        isDone = true
      },
      () => isDone,
    )
    const met = { before: 0, after: 0 }
    for (const [i, { disk, promises, where }] of stops.entries()) {
      if (i % 5 !== 0 && i < stops.length - 8) continue
      for (const world of [disk.restart(i), disk.restartProcess(i)]) {
        const again = simulatedSeams(i + 1, { fileSystem: world })
        engines = await openStore(to, again, { directory: "/new" })
        expect(engines[0]!.recovery, where).toBe("crashed")
        // As a daemon does: the newest version on the line that the lost state stood on.
        await engines[0]!.restore({ newest: true })
        const found = await isEither(engines, before, contentsOf(2))
        met[found]++
        if (promises) expect(found, where).toBe("after")
        await closeAll(engines)
        const { files, named } = runsIn(world, "/new/0")
        expect(files, `${where}: nothing is left of what was cut off`).toBe(named)
      }
    }
    expect(Math.min(met.before, met.after), JSON.stringify(met)).toBeGreaterThan(0)
  },
)

test.each(engineNames)(
  "%s: under durability log, what came after the restore is there after power loss",
  async (name) => {
    const from = { engine: name === "memory" ? "append-log" : "memory", partitions: 3 } as const
    const seams = await written(from)
    const to = { engine: name, partitions: 2 }
    const given = { directory: "/new", durability: "log" } as const
    let engines = await openStore(to, seams, given)
    await setAll(engines, new Map([["mine", "before"]]))
    const [{ replaced }] = (await restoreAll(engines, 2)) as [RestoreResult, RestoreResult]
    await setAll(engines, new Map([["key:1", "after"]]))
    const again = simulatedSeams(9, { fileSystem: seams.fileSystem.restart(9) })
    engines = await openStore(to, again, given)
    expect(engines.map(({ recovery }) => recovery)).toEqual(["replayed", "replayed"])
    expect(engines.map(({ position }) => position.version)).toEqual([2, 2])
    expect(await storeContents(engines)).toEqual(contentsOf(2).set("key:1", "after"))
    await engines[0]!.restore({ replaced })
    expect([...(await contents(engines[0]!)).keys()].filter((key) => key !== "mine")).toEqual([])
    await closeAll(engines)
  },
)

test("more than fits a page is read to its end", async () => {
  const seams = simulatedSeams(1)
  const records = new Map(
    Array.from({ length: 500 }, (_, i) => [`key:${i}`, `${i} `.repeat(400).slice(0, 1600)]),
  )
  let engines = await openStore({ engine: "append-log", partitions: 1 }, seams)
  await setAll(engines, records)
  await snapshotAll(engines, 1)
  await closeAll(engines)
  engines = await openStore({ engine: "lsm-tree", partitions: 2 }, seams)
  await restoreAll(engines, 1)
  expect(await storeContents(engines)).toEqual(records)
  await closeAll(engines)
})
