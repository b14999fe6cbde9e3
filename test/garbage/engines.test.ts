// Garbage collection beside engines: a snapshot that takes for ever, and a restore whose records are still to come.

import { type Engine, openEngine } from "@varve/engines"
import {
  type CollectionResult,
  collectGarbage,
  DirectoryObjectStore,
  GRACE_MS_MIN,
  Repository,
} from "@varve/engines/internal"
import { afterEach, describe, expect, test } from "vitest"
import { bytes, contents, tinySettings } from "../engines/engine-fixture.ts"
import { fetchesRecords, GatedExecutor } from "../engines/gated-executor.ts"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"

const URL = "file:/repository"
/** Far more turns of the event loop than anything here takes. */
const TURNS_MAX = 100_000

const opened: Engine[] = []
/** Jobs that wait until their engine's gate is open, besides those that fetch records. */
const isHeld = new Set<string>()

afterEach(async () => {
  isHeld.clear()
  for (const engine of opened.splice(0)) await engine.close()
})

interface Life {
  readonly seams: SimulatedSeams
  readonly gate: GatedExecutor
  readonly engine: Engine
}

async function live(seams: SimulatedSeams, directory: string, store = "default"): Promise<Life> {
  const gate = new GatedExecutor(
    seams.executor,
    (job, input) => fetchesRecords(job, input) || isHeld.has(job),
  )
  const engine = await openEngine({
    engine: "hybrid-log",
    directory,
    repository: URL,
    store,
    owner: { checkIntervalMs: 0 },
    // A merged run would be uploaded, and what it was made of would be needed no more.
    settings: { ...tinySettings["hybrid-log"], compactionEnabled: false },
    restoreMode: "lazy",
    seams: { ...seams, executor: gate },
  })
  opened.push(engine)
  return { seams, gate, engine }
}

/** Writes keys `[first, last)`, with values of which no two are alike. */
async function write(engine: Engine, first: number, last: number, label: string): Promise<void> {
  for (let i = first; i < last; i++) {
    const value = Array.from({ length: 60 }, (_, at) => Math.imul(i * 61 + at, 2_654_435_761) >>> 0)
    await engine.set(bytes(`key:${i}`), bytes(`${label} ${value.join(" ")}`))
  }
}

async function remove(
  { fileSystem, ...seams }: SimulatedSeams,
  versions: readonly number[],
  store = "default",
): Promise<void> {
  const objectStore = await DirectoryObjectStore.open(fileSystem, "/repository")
  const repository = await Repository.open(objectStore, { fileSystem, ...seams })
  const listed = await repository.listVersions(store, 0)
  for (const name of listed.filter(({ version }) => versions.includes(version))) {
    await repository.deleteVersion(store, 0, name)
  }
}

async function collect(seams: SimulatedSeams): Promise<CollectionResult> {
  await seams.clock.sleep(2 * GRACE_MS_MIN)
  return await seams.executor.run(collectGarbage, { url: URL, graceMs: GRACE_MS_MIN, liveMin: 1 })
}

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    if (isSo()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error("it never came to it")
}

describe("garbage collection beside an engine", () => {
  test("a version that took longer than a writer may trust is taken back when a run of it is gone", async () => {
    const { seams, gate, engine } = await live(simulatedSeams(1), "/first")
    await write(engine, 0, 60, "old")
    await engine.snapshot({ version: 1 })
    await write(engine, 60, 120, "new")
    isHeld.add("writePack")
    const late = engine.snapshot({ version: 2 })
    await until(() => gate.waitingCount > 0)
    await remove(seams, [1])
    await collect(seams)
    expect((await collect(seams)).remove.length).toBeGreaterThan(0)
    gate.open()
    await expect(late).rejects.toMatchObject({ reason: "REPOSITORY_FAILED" })
    expect(await engine.listVersions()).toEqual([])
    // The same number again: what is gone is stored anew.
    await engine.snapshot({ version: 2 })
    const state = await contents(engine)
    isHeld.clear()
    const { gate: second, engine: other } = await live(seams, "/second")
    second.open()
    expect(other.position.version).toBe(2)
    expect(await contents(other)).toEqual(state)
  })

  test("one that took as long and lost nothing is a version", async () => {
    const { seams, gate, engine } = await live(simulatedSeams(1), "/first")
    await write(engine, 0, 60, "old")
    await engine.snapshot({ version: 1 })
    await write(engine, 60, 120, "new")
    isHeld.add("writePack")
    const late = engine.snapshot({ version: 2 })
    await until(() => gate.waitingCount > 0)
    await collect(seams)
    await collect(seams)
    gate.open()
    expect((await late).version).toBe(2)
  })

  test("a lazy restore reads what was rewritten where it is now, and versions go on", async () => {
    // A store that goes has one pack with records of the first version, and with others.
    const passing = await live(simulatedSeams(1), "/passing", "passing")
    await write(passing.engine, 20, 140, "version 1")
    await passing.engine.snapshot({ version: 1 })
    const first = await live(passing.seams, "/first")
    for (let version = 1; version <= 4; version++) {
      // Each version's run holds much that the next one overwrites.
      await write(first.engine, 20 * version, 20 * version + 60, `version ${version}`)
      await first.engine.snapshot({ version })
    }
    const state = await contents(first.engine)
    const { seams, gate, engine } = await live(first.seams, "/second")
    expect(engine.statistics().bytesLocal).toBeLessThan(engine.statistics().diskBytes)
    await remove(seams, [1, 2, 3])
    await remove(seams, [1], "passing")
    const counts = { rewritten: 0, removed: 0 }
    for (let round = 0; round < 4; round++) {
      const { rewrite, remove: removed } = await collect(seams)
      counts.rewritten += rewrite.length
      counts.removed += removed.length
      const key = `key:${25 + round * 20}`
      expect(Buffer.from((await engine.get(bytes(key)))!).toString()).toBe(state.get(key))
      await write(engine, 200 + round, 201 + round, "later")
      await engine.snapshot({ version: 5 + round })
      if (round > 0) await remove(seams, [4 + round])
    }
    expect(counts.rewritten).toBeGreaterThan(0)
    expect(counts.removed).toBeGreaterThan(0)
    gate.open()
    const all = await contents(engine)
    expect(all.size).toBe(state.size + 4)
    for (const [key, value] of state) expect(all.get(key)).toBe(value)
  })
})
