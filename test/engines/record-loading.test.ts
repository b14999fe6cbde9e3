// `memory` serves a large state while its records are loaded. What is put on disk meanwhile lies above the runs that
// are not loaded, again and again if it must; what cannot be read is refused, and nothing else is lost by it.
// That all calls answer as if all were loaded: index-loading.test.ts; while runs are on their way: lazy-restore.test.ts.

import { type Engine, isEngineError } from "@varve/engines"
import {
  compareVersions,
  DirectoryObjectStore,
  EngineError,
  InlineExecutor,
  Repository,
  RunShelf,
  VersionReader,
} from "@varve/engines/internal"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { SimulatedRandom, type SimulatedSeams, seedsUpTo, simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, contents, openTiny, read } from "./engine-fixture.ts"
import { fetchesRecords, GatedExecutor } from "./gated-executor.ts"
import { GatedFileSystem } from "./gated-file-system.ts"
import { serveAtOnce } from "./serve-at-once.ts"
import { openLoading } from "./turn-gate.ts"

type State = Map<string, string>

const KEYS = Array.from({ length: 200 }, (_, i) => `key:${i}`)
const LIVES = 6
const STEPS = 40

beforeEach(() => serveAtOnce("memory"))
afterEach(() => vi.restoreAllMocks())

async function set(engine: Engine, state: State, key: string, value: string): Promise<void> {
  await engine.set(bytes(key), bytes(value))
  if (value === "") state.delete(key)
  else state.set(key, value)
}

/** A state of one run in version 1, and the disk after a clean stop. */
async function stored(
  seed: number,
  valueBytes = 100,
  keys = KEYS,
): Promise<{ readonly seams: SimulatedSeams; readonly state: State }> {
  const seams = simulatedSeams(seed)
  const engine = await openTiny("memory", seams)
  const state: State = new Map()
  const random = new SimulatedRandom(seed)
  for (const key of keys) {
    const value = Buffer.from(random.bytes(valueBytes / 2)).toString("hex")
    await set(engine, state, key, `${key}v${value}`)
  }
  await engine.snapshot({ version: 1 })
  await engine.close()
  return { seams: afterKill(seams), state }
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString()
}

async function expectKeys(engine: Engine, state: State): Promise<void> {
  const values = await engine.getMany(KEYS.map(bytes))
  expect(values.map((each) => each && textOf(each))).toEqual(KEYS.map((key) => state.get(key)))
}

test.each(seedsUpTo(6))(
  "record loading: stops and kills in the middle of it lose nothing, seed %i",
  async (seed) => {
    let { seams, state } = await stored(seed)
    let kept: State = new Map(state)
    let version = 1
    const random = new SimulatedRandom(seed)
    for (let life = 1; life <= LIVES; life++) {
      const { engine, gate } = await openLoading("memory", seams)
      await expectKeys(engine, state)
      for (let step = 0; step < STEPS; step++) {
        const dice = random.integer(20)
        if (dice === 0) gate.letOn()
        else if (dice === 1) {
          // Waits for no record: the gate is closed.
          await engine.snapshot({ version: ++version })
          kept = new Map(state)
        } else {
          const value = random.oneIn(3) ? "" : `${life} ${step}${"w".repeat(random.integer(60))}`
          await set(engine, state, KEYS[random.integer(KEYS.length)]!, value)
        }
      }
      await expectKeys(engine, state)
      if (random.oneIn(2)) {
        await engine.close()
        seams = afterKill(seams, life)
      } else {
        seams = afterKill(seams, life)
        gate.open()
        await expect(engine.close()).rejects.toThrow()
        state = new Map(kept)
      }
    }
    const { engine, gate } = await openLoading("memory", seams)
    gate.open()
    expect(await contents(engine)).toEqual(state)
    expect(engine.statistics().recordCount).toBe(state.size)
    await set(engine, state, "key:0", "the last one")
    await engine.snapshot({ version: ++version })
    const [first, ...others] = engine.runs()
    expect([first?.recordCount, first?.tombstoneCount, others]).toEqual([state.size, 0, []])
    await engine.restore({ version })
    expect(await contents(engine)).toEqual(state)
    await engine.close()
    expect(seams.fileSystem.openPaths).toEqual([])
  },
)

test("record loading: who is stopped again and again before its end does not pile up runs without a limit", async () => {
  const runsMax = 8
  vi.restoreAllMocks()
  serveAtOnce("memory", runsMax)
  let { seams, state } = await stored(1)
  const runCounts: number[] = []
  for (let life = 1; life <= 3 * runsMax; life++) {
    const { engine } = await openLoading("memory", seams)
    runCounts.push(engine.runs().length)
    await set(engine, state, `key:${life}`, life % 2 === 0 ? "" : `${life}`)
    await expectKeys(engine, state)
    await engine.close()
    seams = afterKill(seams, life)
  }
  expect(runCounts.slice(0, runsMax + 1)).toEqual(Array.from({ length: runsMax + 1 }, (_, i) => i + 1))
  expect(Math.max(...runCounts)).toBe(runsMax + 1)
})

test("record loading: a state that has not changed is a version, and stored by none, before a record was loaded", async () => {
  const { seams } = await stored(1)
  const { engine, gate } = await openLoading("memory", seams)
  const runs = engine.runs()
  const { bytesNew } = await engine.snapshot({ version: 2 })
  expect([bytesNew, engine.runs()]).toEqual([0, runs])
  gate.open()
  await engine.close()
})

test("record loading: the dump behind it begins as the one before, whatever was written first", async () => {
  const { seams, state } = await stored(1)
  const { engine, gate } = await openLoading("memory", seams)
  for (const key of ["key:199", "new", "key:100"]) await set(engine, state, key, `first ${key}`)
  gate.open()
  expect(await contents(engine)).toEqual(state)
  await set(engine, state, "last", "of all")
  await engine.snapshot({ version: 2 })
  await engine.close()
  const path = seams.fileSystem.paths().find((each) => each.startsWith("/partition/L"))!
  const text = Buffer.from(seams.fileSystem.bytesOf(path)).toString("latin1")
  const order = ["key:98v", "key:99v", "first key:100", "key:101v", "first key:199", "first new", "of all"]
  const places = order.map((each) => text.indexOf(each))
  expect(places).toEqual([...places].sort((a, b) => a - b))
  expect(places).not.toContain(-1)
})

test("record loading: damaged records are refused and keep nothing else from going on, and an eager restore is refused", async () => {
  // Longer than what is read at a time: the load has begun when it meets the damage.
  const keys = Array.from({ length: 700 }, (_, i) => `key:${i}`)
  const { seams, state } = await stored(1, 1900, keys)
  const path = seams.fileSystem.paths().find((each) => each.startsWith("/partition/L"))!
  const bit = 8 * 1_200_000
  seams.fileSystem.flip(path, bit)
  const warnings: string[] = []
  const { engine, gate } = await openLoading("memory", seams, (message) => warnings.push(message))
  await set(engine, state, "new", "written meanwhile")
  gate.open()
  await vi.waitUntil(() => warnings.length > 0, { timeout: 10_000 })
  await expectReason(contents(engine), "DATA_LOSS")
  const answers = await Promise.allSettled(keys.map((key) => read(engine, key)))
  const refused = answers.filter((answer, i) => {
    if (answer.status === "rejected") return isEngineError(answer.reason, "DATA_LOSS")
    expect(answer.value, keys[i]!).toBe(state.get(keys[i]!))
    return false
  })
  expect(refused.length).toBe(answers.filter(({ status }) => status === "rejected").length)
  expect(refused.length).toBeGreaterThan(1)
  expect(refused.length).toBeLessThan(6)
  await expectReason(engine.restore({ version: 1, mode: "eager" }), "DATA_LOSS")
  expect(await read(engine, "new")).toBe("written meanwhile")
  await engine.snapshot({ version: 2 })
  // It is asked for again, and this time it is there.
  seams.fileSystem.flip(path, bit)
  expect(await contents(engine)).toEqual(state)
  expect(engine.statistics().recordCount).toBe(state.size)
  seams.fileSystem.flip(path, bit)
  await engine.restore({ version: 2 })
  await expectReason(contents(engine), "DATA_LOSS")
  await engine.restore({ empty: true })
  expect(await contents(engine)).toEqual(new Map())
  await engine.close()
})

test("record loading: a stop while the repository is out of reach loses nothing that was written", async () => {
  const { seams, state } = await stored(1, 1000)
  await seams.fileSystem.removeDirectory("/partition")
  const fileSystem = new GatedFileSystem(seams.fileSystem)
  let isOut = false
  fileSystem.beforeRead = async (path) => {
    if (isOut && path.startsWith("/repository/packs/"))
      throw new EngineError("REPOSITORY_FAILED", "the repository cannot be reached")
  }
  const executor = new GatedExecutor(new InlineExecutor({ ...seams, fileSystem }), fetchesRecords)
  const { engine, gate } = await openLoading("memory", { ...seams, fileSystem, executor })
  isOut = true
  gate.open()
  await set(engine, state, "key:7", "written meanwhile")
  await set(engine, state, "key:8", "")
  await expectReason(contents(engine), "REPOSITORY_FAILED")
  await expectReason(read(engine, "key:9"), "REPOSITORY_FAILED")
  expect([await read(engine, "key:7"), await read(engine, "key:8")]).toEqual(["written meanwhile", undefined])
  await engine.close()
  const { engine: again, gate: open } = await openLoading("memory", afterKill(seams))
  expect(again.recovery).toBe("continued")
  open.open()
  expect(await contents(again)).toEqual(state)
  await again.close()
})

test("record loading: versions whose patches lie in another order are told apart", async () => {
  const { seams } = await stored(1)
  const values = ["one value", "another value"]
  let disk = seams
  for (const [at, order] of [values, [...values].reverse()].entries()) {
    for (const value of order) {
      const { engine } = await openLoading("memory", disk)
      if (value === order[0]) await engine.restore({ version: 1, newTimeline: `t${at}` })
      await engine.set(bytes("key:5"), bytes(value))
      if (value === order[1]) await engine.snapshot({ version: 2 })
      await engine.close()
      disk = afterKill(disk)
    }
  }
  const repository = await Repository.open(
    await DirectoryObjectStore.open(disk.fileSystem, "/repository"),
    disk,
  )
  const shelf = new RunShelf(repository)
  const open = async (timeline: string): Promise<VersionReader> =>
    VersionReader.open(await repository.readManifest("default", 0, { timeline, version: 2 }), shelf)
  const changes: (string | undefined)[][] = []
  for await (const page of compareVersions(repository, shelf, await open("t0"), await open("t1"))) {
    changes.push(
      ...page.map(({ key, before, after }) => [key, before, after].map((each) => each && textOf(each))),
    )
  }
  expect(changes).toEqual([["key:5", "another value", "one value"]])
  await shelf.close()
  await repository.close()
})
