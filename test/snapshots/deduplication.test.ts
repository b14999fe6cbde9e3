// What is there is not stored again: across versions, partitions, stores and lives of the process, whatever the runs are
// that hold it. And all of it anew, when that is asked for.

import { type Engine, type EngineName, engineNames, openEngine, type RepositoryOptions } from "@varve/engines"
import { DirectoryObjectStore, definitionOf, Repository, type RunToStore } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { contents, tinySettings } from "../engines/engine-fixture.ts"
import { expectReason } from "../io/expect-error.ts"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { makeRun, type RunOptions } from "./make-run.ts"

const VALUE_BYTES = 100
const RECORD_BYTES = 3 + 12 + VALUE_BYTES

interface Place {
  readonly directory: string
  readonly store?: string
  readonly partition?: number
  readonly partitionCount?: number
  readonly settings?: object
  readonly repositoryOptions?: RepositoryOptions
}

/** Each has its own view of the repository, as processes have. */
function open(name: EngineName, seams: SimulatedSeams, place: Place): Promise<Engine> {
  const { settings = definitionOf(name).settingsFor(4 * 1024 * 1024), ...where } = place
  return openEngine({
    engine: name,
    repository: "file:/repository",
    owner: { checkIntervalMs: 0 },
    settings,
    seams,
    ...where,
  })
}

function key(label: string, number: number): Buffer {
  return Buffer.from(`${label}:${String(number).padStart(11 - label.length, "0")}`)
}

/** Puts records with the same values for the same `seed` and number. */
async function put(engine: Engine, label: string, first: number, end: number, seed: number): Promise<void> {
  for (let i = first; i < end; i++) {
    const value = Buffer.allocUnsafe(VALUE_BYTES)
    for (let at = 0, state = Math.imul(i * 1000 + seed + 1, 0x9e3779b1) | 1; at < VALUE_BYTES; at += 4) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      value.writeInt32LE(state, at)
    }
    const pending = engine.set(key(label, i), value)
    if (pending !== undefined) await pending
  }
}

describe.each(engineNames)("%s: what is there is not stored again", (name) => {
  test("in another store, in another partition, and behind other records", async () => {
    const seams = simulatedSeams(1)
    const first = await open(name, seams, { directory: "/1", store: "a" })
    await put(first, "k", 0, 6000, 1)
    const { bytesNew } = await first.snapshot({ version: 1 })
    expect(bytesNew).toBeGreaterThan(6000 * RECORD_BYTES)
    const unchanged = await first.snapshot({ version: 2 })
    expect(unchanged).toMatchObject({ bytesNew: 0, chunksNew: 0, chunksReused: 0 })
    expect(unchanged.bytesReused).toBeGreaterThan(6000 * RECORD_BYTES)

    const same = await open(name, seams, { directory: "/2", store: "b", partition: 1, partitionCount: 2 })
    await put(same, "k", 0, 6000, 1)
    const again = await same.snapshot({ version: 1 })
    // Hashes are of another seed; the records are the same.
    expect(again.bytesNew).toBeLessThan(bytesNew * 0.15)
    expect(again.bytesReused).toBeGreaterThan(6000 * RECORD_BYTES * 0.95)

    const behind = await open(name, seams, { directory: "/3", store: "b", partitionCount: 2 })
    await put(behind, "a", 0, 307, 2)
    await put(behind, "k", 0, 6000, 1)
    const moved = await behind.snapshot({ version: 1 })
    expect(moved.bytesNew).toBeLessThan(bytesNew * 0.15 + 307 * RECORD_BYTES + 128 * 1024)
    for (const engine of [first, same, behind]) await engine.close()

    const elsewhere = await open(name, seams, { directory: "/4", store: "b", partitionCount: 2 })
    expect((await contents(elsewhere)).size).toBe(6307)
    expect(await elsewhere.get(key("k", 5999))).toBeDefined()
    await elsewhere.close()
  })

  test("unless deduplication is off: then every version stores its state whole; versions are the same", async () => {
    const seams = simulatedSeams(2)
    const settings = tinySettings[name]
    const states = new Map<number, ReadonlyMap<string, string>>()
    const live = async (directory: string, version: number, deduplication: boolean) => {
      const engine = await open(name, seams, { directory, settings, repositoryOptions: { deduplication } })
      await put(engine, "k", version * 10, version * 10 + (version === 1 ? 400 : 10), version)
      const result = await engine.snapshot({ version })
      const { diskBytes, mergeCount, bytesMergedStored } = engine.statistics()
      states.set(version, await contents(engine))
      await engine.close()
      return { ...result, diskBytes, mergeCount, bytesMergedStored }
    }
    const merges: number[] = []
    for (const version of [1, 2, 3]) {
      const whole = await live("/partition", version, false)
      expect([whole.bytesReused, whole.chunksReused, whole.bytesMergedStored]).toEqual([0, 0, 0])
      expect(whole.bytesNew).toBeGreaterThan(400 * RECORD_BYTES)
      merges.push(whole.mergeCount)
    }
    if (name !== "memory") expect(Math.max(...merges)).toBeGreaterThan(0)
    // On again: what was stored then is known.
    await live("/partition", 4, true)
    const small = await live("/partition", 5, true)
    expect(small.bytesNew).toBeLessThan(small.diskBytes * 0.7)
    const whole = await live("/partition", 6, false)
    expect(whole.bytesNew).toBeGreaterThan(400 * RECORD_BYTES)
    // A state whose records are still to come.
    await live("/new", 7, false)
    await live("/new", 8, true)
    const reader = await open(name, seams, { directory: "/reader", settings })
    for (const [version, state] of states) {
      await reader.restore({ version })
      expect(await contents(reader), `version ${version}`).toEqual(state)
    }
    await reader.close()
  })
})

test("memory: a version stores little more than what has changed since the last", async () => {
  const count = 40_000
  const part = count / 100
  const seams = simulatedSeams(3)
  let engine = await open("memory", seams, { directory: "/partition" })
  let version = 0
  /** What the next version stores, in hundredths of the state. */
  const cost = async (): Promise<number> => {
    const { bytesNew } = await engine.snapshot({ version: ++version })
    return (100 * bytesNew) / (count * RECORD_BYTES)
  }
  await put(engine, "k", 0, count, 1)
  expect(await cost()).toBeGreaterThan(100)
  expect(await cost()).toBe(0)
  await put(engine, "k", 7, 8, 2)
  expect(await cost()).toBeLessThan(1.5)
  // One in a hundred, side by side: overwritten, grown, deleted, and added in the middle of the keys.
  await put(engine, "k", count / 2, count / 2 + part, 2)
  expect(await cost()).toBeLessThan(4)
  for (let i = 0; i < part; i++) engine.set(key("k", count / 3 + i), Buffer.alloc(150, i))
  expect(await cost()).toBeLessThan(6)
  for (let i = 0; i < part; i++) engine.delete(key("k", Math.floor(count / 4) + i))
  expect(await cost()).toBeLessThan(3)
  await put(engine, "k", Math.floor(count / 4), Math.floor(count / 4) + part, 3)
  expect(await cost()).toBeLessThan(5)
  // All over: a chunk holds a hundred records.
  for (let i = 0; i < part; i++) await put(engine, "k", i * 100 + 50, i * 100 + 51, 4)
  const random = await cost()
  expect(random).toBeGreaterThan(40)
  expect(random).toBeLessThan(115)
  const state = await contents(engine)
  await engine.close()
  engine = await open("memory", seams, { directory: "/partition" })
  expect(await cost()).toBe(0)
  await engine.close()
  engine = await open("memory", seams, { directory: "/elsewhere" })
  expect(await contents(engine)).toEqual(state)
  expect(await cost()).toBe(0)
  // The first dump of a life does not know what the runs hold: each is written anew, with bytes of its own.
  await put(engine, "k", 9, 10, 5)
  expect(await cost()).toBeLessThan(5)
  await put(engine, "k", 9, 10, 6)
  expect(await cost()).toBeLessThan(1.5)
  await engine.close()
})

describe("repository: the memory of chunks", () => {
  async function world(options: RepositoryOptions = {}) {
    const seams = simulatedSeams(4)
    await seams.fileSystem.makeDirectory("/runs")
    const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
    const fresh = (): Promise<Repository> => Repository.open(objectStore, seams, options)
    const addRun = async (name: string, run: RunOptions): Promise<RunToStore> => {
      const path = `/runs/${name}`
      return { figures: await makeRun(seams.fileSystem, path, run), path }
    }
    const packs = (): string[] => seams.fileSystem.paths().filter((path) => path.endsWith(".pack"))
    return { seams, fresh, addRun, packs }
  }

  test("beyond its bound chunks are forgotten and stored once more, and nothing else happens", async () => {
    const { seams, fresh, addRun } = await world({ chunkCountMax: 512 })
    const repository = await fresh()
    const long = await addRun("long.run", { recordCount: 14_000, seed: 1, valueBytes: 1000, run: 1 })
    const short = await addRun("short.run", { recordCount: 200, seed: 2, valueBytes: 1000, run: 2 })
    const first = await repository.storeRuns([long])
    expect(first.chunksNew).toBeGreaterThan(700)
    await repository.storeRuns([short])
    // What came last is known, here and by who opens the repository; of what came before, a part at most.
    expect((await repository.storeRuns([short])).chunksNew).toBe(0)
    const { chunksNew, chunksReused } = await (await fresh()).storeRuns([short])
    expect(chunksNew).toBeLessThan(chunksReused / 2)
    const again = await repository.storeRuns([long])
    expect(again.chunksNew).toBeGreaterThan(first.chunksNew - 512)
    for (const [i, run] of [...first.runs, ...again.runs].entries()) {
      await repository.fetchRun(run, `/runs/back${i}`)
      const back = seams.fileSystem.bytesOf(`/runs/back${i}`)
      expect(Buffer.compare(back, seams.fileSystem.bytesOf(long.path))).toBe(0)
    }
  })

  test("without deduplication a run is stored as often as it is given, and each is whole", async () => {
    const { seams, fresh, addRun } = await world({ deduplication: false })
    const run = await addRun("a.run", { recordCount: 1000, seed: 1 })
    const repository = await fresh()
    const { runs, bytesNew, chunksReused } = await repository.storeRuns([run, run])
    expect(chunksReused).toBe(0)
    expect(bytesNew).toBeGreaterThan(2 * run.figures.bytes)
    for (const [i, stored] of runs.entries()) {
      await repository.fetchRun(stored, `/runs/back${i}`)
      const back = seams.fileSystem.bytesOf(`/runs/back${i}`)
      expect(Buffer.compare(back, seams.fileSystem.bytesOf(run.path))).toBe(0)
    }
  })

  test.each([0, 511, 786_433, 1.5])("a bound of %d chunks is refused", async (chunkCountMax) => {
    const { fresh } = await world({ chunkCountMax })
    await expectReason(fresh(), "SETTING_INVALID")
  })

  test.each(["truncate", "remove"] as const)(
    "chunks of a pack that is damaged are stored anew by who opens the repository: %s",
    async (spoil) => {
      const { seams, fresh, addRun, packs } = await world()
      const run = await addRun("a.run", { recordCount: 1000, seed: 1 })
      const { runs } = await (await fresh()).storeRuns([run])
      const [pack] = packs()
      if (spoil === "remove") await seams.fileSystem.remove(pack!)
      else seams.fileSystem.truncate(pack!, seams.fileSystem.bytesOf(pack!).length / 2)
      const repository = await fresh()
      const again = await repository.storeRuns([run])
      expect(again.chunksReused).toBe(0)
      await repository.fetchRun(again.runs[0]!, "/runs/back")
      await expectReason(repository.fetchRun(runs[0]!, "/runs/other"), "DATA_LOSS")
    },
  )
})
