// Garbage collection beside those who are held up: writers between their looking and their commit, machines that sleep,
// collections that go on long after they looked. Nobody may lose what a version lists.

import {
  collectGarbage,
  DirectoryObjectStore,
  GRACE_MS_MIN,
  type ObjectStore,
  Repository,
  type RunToStore,
  type Seams,
  type StoredRun,
} from "@varve/engines/internal"
import { beforeEach, describe, expect, test } from "vitest"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { makeManifest, makeRun } from "../snapshots/make-run.ts"

const OPTIONS = { url: "file:/repository", graceMs: GRACE_MS_MIN, liveMin: 0.95 }
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const PARTITION = ["default", 0] as const

let seams: SimulatedSeams
let runs: readonly [RunToStore, RunToStore]

beforeEach(async () => {
  seams = simulatedSeams(7)
  await seams.fileSystem.makeDirectory("/runs")
  const run = async (number: number): Promise<RunToStore> => {
    const path = `/runs/${number}`
    const figures = await makeRun(seams.fileSystem, path, { recordCount: 400, seed: number, run: number })
    return { figures, path }
  }
  runs = [await run(1), await run(2)]
})

async function openWriter(clock: Seams["clock"] = seams.clock): Promise<Repository> {
  const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
  return Repository.open(objectStore, { ...seams, clock })
}

function collect(): ReturnType<typeof collectGarbage.run> {
  return seams.executor.run(collectGarbage, OPTIONS)
}

/** A collection that stops before its first call of `method` on a mark until `go` is called. */
async function collectionHeldUpAt(
  method: "get" | "remove",
): Promise<{ result: ReturnType<typeof collectGarbage.run>; go: () => void }> {
  let go = (): void => undefined
  let isThere = (): void => undefined
  const held = new Promise<void>((resolve) => {
    go = resolve
  })
  const there = new Promise<void>((resolve) => {
    isThere = resolve
  })
  const real = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
  const objectStore = new Proxy(real, {
    get: (target, name: keyof ObjectStore) => {
      const value = target[name]
      if (typeof value !== "function") return value
      return async (...call: [string, never]) => {
        if (name === method && call[0].startsWith("condemned/")) {
          isThere()
          await held
        }
        return Reflect.apply(value, target, call)
      }
    },
  })
  const result = collectGarbage.run({ ...seams, objectStore: async () => objectStore }, OPTIONS)
  result.catch(() => undefined)
  await there
  return { result, go }
}

/** Resolves when the run comes back whole. */
async function fetch(writer: Repository, run: StoredRun): Promise<void> {
  await writer.fetchRun(run, "/runs/back")
  await seams.fileSystem.remove("/runs/back")
}

describe("garbage collection beside those who are held up", () => {
  test("a run whose pack was rewritten is endangered when the new pack is going, and the note", async () => {
    const writer = await openWriter()
    const { runs: stored } = await writer.storeRuns(runs)
    const run = stored[1]!
    await writer.commit(makeManifest([run], { version: 1, partition: 0 }))
    await seams.clock.sleep(13 * HOUR)
    expect((await collect()).rewrite).toEqual([run.recipe.pack])
    await seams.clock.sleep(13 * HOUR)
    expect((await collect()).remove).toEqual([run.recipe.pack])
    expect((await writer.endangered([run])).going).toEqual(new Set())
    await fetch(writer, run)
    // Nothing asks for it, but for the writer, whose next version lists it.
    await writer.deleteVersion(...PARTITION, { timeline: "a", version: 1 })
    const { condemn, condemnNotes } = await collect()
    expect(condemn).toHaveLength(1)
    expect(condemnNotes).toEqual([run.recipe.pack])
    await seams.clock.sleep(11 * HOUR + 50 * MINUTE)
    expect((await writer.endangered([run])).going).toEqual(new Set([run.id]))
    const { runs: again } = await writer.storeRuns([runs[1]])
    await seams.clock.sleep(20 * MINUTE)
    const last = await collect()
    expect([last.remove, last.forget]).toEqual([condemn, condemnNotes])
    await writer.commit(makeManifest(again, { version: 2, partition: 0 }))
    await fetch(writer, again[0]!)
  })

  test("the mark that condemned a pack is none of its note, also when it is left over", async () => {
    const writer = await openWriter()
    const { runs: stored } = await writer.storeRuns(runs)
    const run = stored[1]!
    await writer.commit(makeManifest([run], { version: 1, partition: 0 }))
    await seams.clock.sleep(13 * HOUR)
    await collect()
    await seams.clock.sleep(13 * HOUR)
    const stopped = await collectionHeldUpAt("remove")
    await writer.deleteVersion(...PARTITION, { timeline: "a", version: 1 })
    // The pack is gone, and its old mark is there as after a crash: the note has all of its own grace before it.
    const next = await collect()
    expect([next.condemnNotes, next.forget]).toEqual([[run.recipe.pack], []])
    stopped.go()
    await stopped.result
    await fetch(writer, run)
  })

  test("a writer whose machine slept looks again", async () => {
    let sleptMs = 0
    const { clock } = seams
    const writer = await openWriter({
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs() - sleptMs,
      sleep: (ms, signal) => clock.sleep(ms, signal),
      nextTurn: () => clock.nextTurn(),
    })
    const { runs: stored } = await writer.storeRuns([runs[0]])
    for (let night = 0; night < 2; night++) {
      await clock.sleep(13 * HOUR)
      sleptMs += 13 * HOUR
      await collect()
    }
    expect((await writer.endangered(stored)).going).toEqual(new Set([stored[0]!.id]))
  })

  test("a collection does not remove a pack that another one has pardoned and condemned anew", async () => {
    const writer = await openWriter()
    const { runs: stored } = await writer.storeRuns([runs[0]])
    await seams.clock.sleep(13 * HOUR)
    expect((await collect()).condemn).toHaveLength(1)
    // By a writer that knew nothing of it.
    await writer.commit(makeManifest(stored, { version: 1, partition: 0 }))
    await seams.clock.sleep(13 * HOUR)
    const pardoning = await collectionHeldUpAt("remove")
    await writer.deleteVersion(...PARTITION, { timeline: "a", version: 1 })
    const removing = await collectionHeldUpAt("get")
    pardoning.go()
    expect((await pardoning.result).pardon).toHaveLength(1)
    const other = await openWriter()
    const { runs: reused, chunksNew } = await other.storeRuns([runs[0]])
    expect(chunksNew).toBe(0)
    expect((await collect()).condemn).toHaveLength(1)
    removing.go()
    expect((await removing.result).remove).toHaveLength(1)
    await other.commit(makeManifest(reused, { version: 2, partition: 0 }))
    await fetch(other, reused[0]!)
  })

  test("a collection that was held up for hours removes nothing more", async () => {
    const writer = await openWriter()
    await writer.storeRuns(runs)
    await seams.clock.sleep(13 * HOUR)
    await collect()
    await seams.clock.sleep(13 * HOUR)
    const held = await collectionHeldUpAt("get")
    const before = seams.fileSystem.paths()
    await seams.clock.sleep(7 * HOUR)
    held.go()
    // What it had asked for before is done; the rest is not begun.
    await expect(held.result).rejects.toMatchObject({ reason: "REPOSITORY_FAILED" })
    expect(seams.fileSystem.paths()).toEqual(before)
  })
})
