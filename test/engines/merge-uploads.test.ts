// Merged runs go up behind the versions: within the budget, in nobody's way, and no version is ever wrong or large
// because of them.
//
// Time is the test's own: a millisecond a turn of the event loop, so that a budget is a number of turns.

import { type Engine, type EngineName, openEngine, type RepositoryOptions } from "@varve/engines"
import { DirectoryObjectStore, definitionOf, type Manifest, Repository } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import {
  SimulatedClock,
  SimulatedRandom,
  type SimulatedSeams,
  simulatedSeams,
  stopEverywhere,
} from "../simulation/index.ts"
import { afterKill, afterPowerLoss, bytes, contents, diskEngines } from "./engine-fixture.ts"

const VALUE_BYTES = 100
/** Length of a record of `put`. */
const RECORD_BYTES = 3 + 12 + VALUE_BYTES
/** As long as a pack of a merged run may be under a small budget. */
const PACK_BYTES_MAX = 256 * 1024
/** A byte a second: after the first merged run nothing goes up for a day. */
const NEXT_TO_NOTHING = 1
const DAY_MS = 24 * 60 * 60 * 1000

/** Memory for 64 KiB before it is flushed by itself. */
function settings(name: EngineName): object {
  return { ...definitionOf(name).settingsFor(65_536), maxRunsPerLevel: 3 }
}

interface Life {
  readonly name: EngineName
  readonly seams: SimulatedSeams
  readonly engine: Engine
  /** What is in the engine. */
  readonly state: Map<string, string>
  /** What each version holds. */
  readonly versions: Map<number, ReadonlyMap<string, string>>
}

function open(
  name: EngineName,
  seams: SimulatedSeams,
  repositoryOptions: RepositoryOptions,
  directory = "/partition",
): Promise<Engine> {
  return openEngine({
    engine: name,
    directory,
    repository: "file:/repository",
    repositoryOptions,
    owner: { checkIntervalMs: 0 },
    settings: settings(name),
    seams,
  })
}

async function begin(name: EngineName, seed: number, mergeUploadBytesPerSecond: number): Promise<Life> {
  const seams = simulatedSeams(seed, { clock: new SimulatedClock() })
  const engine = await timed(seams, open(name, seams, { mergeUploadBytesPerSecond }))
  return { name, seams, engine, state: new Map(), versions: new Map() }
}

/** Time goes on until the work is done. */
async function timed<Result>({ clock }: SimulatedSeams, work: Promise<Result>): Promise<Result> {
  let isDone = false
  const end = (): void => {
    isDone = true
  }
  work.then(end, end)
  while (!isDone) {
    await clock.nextTurn()
    await clock.advance(1)
  }
  return work
}

async function pass({ clock }: SimulatedSeams, turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) {
    await clock.nextTurn()
    await clock.advance(1)
  }
}

/** Writes `count` records with the numbers from `first` on, in random order. */
async function put(life: Life, first: number, count: number, label: string): Promise<void> {
  const { engine, state, seams } = life
  for (let i = 0; i < count; i++) {
    const key = `key:${String(first + i).padStart(8, "0")}`
    // No two values share chunks.
    const noise = Buffer.from(new SimulatedRandom(seams.random.integer(2 ** 31)).bytes(VALUE_BYTES / 2 - 5))
    const value = `${label.padEnd(10)}${noise.toString("hex")}`
    state.set(key, value)
    const pending = engine.set(bytes(key), bytes(value))
    if (pending !== undefined) await timed(seams, pending)
  }
}

async function snapshot(life: Life, version: number): Promise<number> {
  const { engine, state, seams, versions } = life
  versions.set(version, new Map(state))
  return (await timed(seams, engine.snapshot({ version }))).bytesNew
}

async function manifest({ seams }: Life, version: number): Promise<Manifest> {
  const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
  const repository = await Repository.open(objectStore, seams)
  const listed = await repository.listVersions("default", 0)
  return await repository.readManifest("default", 0, listed.find((each) => each.version === version)!)
}

function packBytes({ seams }: Life): number {
  const packs = seams.fileSystem.paths().filter((path) => path.endsWith(".pack"))
  return packs.reduce((sum, path) => sum + seams.fileSystem.bytesOf(path).length, 0)
}

function runIds(life: Life): string[] {
  return life.engine.runs().map(({ id }) => id)
}

async function untilLevel(life: Life, level: number): Promise<void> {
  for (let turn = 0; turn < 3000; turn++) {
    if (life.engine.statistics().runsByLevel[level] !== undefined) return
    await pass(life.seams, 1)
  }
  throw new Error(`no merge made a run of level ${level}`)
}

/** Each of `numbers`, put back in a directory of its own, is what it was. */
async function expectVersions(life: Life, numbers: readonly number[]): Promise<void> {
  const elsewhere = simulatedSeams(99, { fileSystem: life.seams.fileSystem })
  const engine = await open(life.name, elsewhere, {}, "/elsewhere")
  for (const version of numbers) {
    await engine.restore({ version })
    expect(await contents(engine), `version ${version}`).toEqual(life.versions.get(version))
  }
  await engine.close()
}

describe.each(diskEngines)("%s: merged runs go up behind the versions", (name) => {
  test("no version costs more than 1.5 times what changed, whatever is merged", async () => {
    const bytesPerSecond = 20_000
    const life = await begin(name, 7, bytesPerSecond)
    const startMs = life.seams.clock.monotonicMs()
    const ratios: number[] = []
    let bytesNew = 0
    for (let version = 1; version <= 40; version++) {
      const count = 150 + life.seams.random.integer(150)
      await put(life, life.seams.random.integer(2000), count, `v${version}`)
      const cost = await snapshot(life, version)
      ratios.push(cost / (count * RECORD_BYTES))
      bytesNew += cost
      await pass(life.seams, life.seams.random.integer(400))
      const { bytesMergedStored } = life.engine.statistics()
      const elapsedMs = life.seams.clock.monotonicMs() - startMs
      expect(bytesMergedStored).toBeLessThanOrEqual((bytesPerSecond * elapsedMs) / 1000 + PACK_BYTES_MAX)
    }
    const { mergeCount, bytesMergedStored } = life.engine.statistics()
    expect(mergeCount).toBeGreaterThan(12)
    expect(bytesMergedStored).toBeGreaterThan(0)
    expect(Math.max(...ratios)).toBeLessThanOrEqual(1.5)
    await timed(life.seams, life.engine.close())
    // Nothing goes up but what is told.
    expect(packBytes(life)).toBe(bytesNew + bytesMergedStored)
    await expectVersions(life, [1, 2, 5, 9, 17, 30, 39, 40])
  })

  test("manifests list the inputs until the upload is done, also two merges deep, and then the merged runs", async () => {
    const life = await begin(name, 8, NEXT_TO_NOTHING)
    for (let version = 1; version <= 13; version++) {
      await put(life, version * 100, 100, `v${version}`)
      await snapshot(life, version)
      await pass(life.seams, 60)
    }
    await untilLevel(life, 2)
    await put(life, 1400, 100, "v14")
    await snapshot(life, 14)
    const listed = await manifest(life, 14)
    // The first merge's output went up on credit; it was merged again.
    const before = life.engine.statistics()
    expect(before.bytesMergedWaiting).toBeGreaterThan(0)
    expect(listed.runs.filter(({ level }) => level === 0).length).toBeGreaterThan(8)
    expect(listed.runs.every(({ level }) => level < 2)).toBe(true)
    expect(runIds(life).length).toBeLessThan(listed.runs.length)
    // A month later.
    for (let day = 0; day < 30 && life.engine.statistics().bytesMergedWaiting > 0; day++) {
      await life.seams.clock.advance(DAY_MS)
      await pass(life.seams, 60)
    }
    const after = life.engine.statistics()
    expect(after.bytesMergedWaiting).toBe(0)
    // What was merged again before its turn came never goes up.
    const merged = life.engine.runs().filter(({ level }) => level > 0)
    const bytesOfMerged = merged.reduce((sum, run) => sum + run.bytes, 0)
    expect(after.bytesMergedStored - before.bytesMergedStored).toBeLessThan(bytesOfMerged * 1.1)
    await put(life, 1500, 10, "v15")
    await snapshot(life, 15)
    const ids = (await manifest(life, 15)).runs.map(({ id }) => id)
    expect(ids).toEqual(expect.arrayContaining(merged.map(({ id }) => id)))
    expect(ids.length).toBeLessThan(merged.length + 4)
    await timed(life.seams, life.engine.close())
    await expectVersions(life, [3, 9, 12, 13, 14, 15])
  })

  test("inputs that the repository does not have yet are kept until it has, and the version is small", async () => {
    const life = await begin(name, 9, NEXT_TO_NOTHING)
    const runFiles = (): string[] =>
      life.seams.fileSystem.paths().filter((path) => path.startsWith("/partition/L") && path.endsWith(".run"))
    // A merged run on credit, so that the next one waits.
    for (let version = 1; version <= 3; version++) {
      await put(life, version * 300, 300, `v${version}`)
      await snapshot(life, version)
    }
    await untilLevel(life, 1)
    // Two runs that a version has, and one that none has: 64 KiB are flushed without being asked for.
    await put(life, 10_000, 400, "v4")
    await snapshot(life, 4)
    await put(life, 20_000, 400, "v5")
    await snapshot(life, 5)
    const { mergeCount } = life.engine.statistics()
    let count = 0
    while (life.engine.statistics().mergeCount === mergeCount) {
      await put(life, 30_000 + count, 50, "v6")
      count += 50
      await pass(life.seams, 20)
    }
    await pass(life.seams, 200)
    const held = runFiles().length
    expect(held).toBeGreaterThan(runIds(life).length)
    const bytesNew = await snapshot(life, 6)
    expect(bytesNew).toBeLessThan(count * RECORD_BYTES * 1.5)
    expect(runIds(life)).not.toEqual((await manifest(life, 6)).runs.map(({ id }) => id))
    await pass(life.seams, 200)
    expect(runFiles().length).toBe(runIds(life).length)
    await timed(life.seams, life.engine.close())
    await expectVersions(life, [5, 6])
  })

  test("without versions the held files stay shorter than the state, however long nothing goes up", async () => {
    const life = await begin(name, 10, NEXT_TO_NOTHING)
    for (let version = 1; version <= 3; version++) {
      await put(life, version * 300, 300, `v${version}`)
      await snapshot(life, version)
    }
    await untilLevel(life, 1)
    await put(life, 10_000, 300, "v4")
    await snapshot(life, 4)
    // The same keys over and over: the state does not grow.
    for (let round = 0; round < 60; round++) {
      await put(life, 10_000 + (round % 5) * 150, 150, `r${round}`)
      await pass(life.seams, 30)
      const onDisk = life.seams.fileSystem
        .paths()
        .filter((path) => path.startsWith("/partition/L"))
        .reduce((sum, path) => sum + life.seams.fileSystem.bytesOf(path).length, 0)
      // The state, as much once more that is held, and what is being merged or flushed.
      const { diskBytes } = life.engine.statistics()
      expect(onDisk, `round ${round}`).toBeLessThan(2 * diskBytes + 6 * 65_536)
    }
    expect(life.engine.statistics().mergeCount).toBeGreaterThan(5)
    await snapshot(life, 5)
    await timed(life.seams, life.engine.close())
    await expectVersions(life, [4, 5])
  })

  test("a close waits for no budget, and the next opening goes on", async () => {
    const life = await begin(name, 11, NEXT_TO_NOTHING)
    for (let version = 1; version <= 6; version++) {
      await put(life, version * 100, 100, `v${version}`)
      await snapshot(life, version)
      await pass(life.seams, 60)
    }
    const { bytesMergedWaiting } = life.engine.statistics()
    const waiting = runIds(life)
    expect(bytesMergedWaiting).toBeGreaterThan(0)
    // Time stands still.
    await life.engine.close()
    const engine = await timed(life.seams, open(name, life.seams, { mergeUploadBytesPerSecond: 0 }))
    const again = { ...life, engine }
    expect(runIds(again)).toEqual(waiting)
    await pass(life.seams, 100)
    expect(engine.statistics().bytesMergedWaiting).toBe(0)
    expect(engine.statistics().bytesMergedStored).toBeGreaterThan(bytesMergedWaiting)
    await put(again, 900, 10, "v7")
    expect(await snapshot(again, 7)).toBeLessThan(10 * RECORD_BYTES + 1500)
    expect((await manifest(again, 7)).runs.map(({ id }) => id)).toEqual(runIds(again))
    await timed(life.seams, engine.close())
    await expectVersions(again, [6, 7])
  })

  test("a crash in any call that changes the disk leaves whole versions while uploads wait", async () => {
    const life = await begin(name, 12, 10_000)
    const { seams, versions } = life
    let acknowledged = 0
    let waited = 0
    const stops = await stopEverywhere(
      seams.fileSystem,
      async () => {
        for (let version = 1; version <= 10; version++) {
          await put(life, seams.random.integer(200), 60, `v${version}`)
          await snapshot(life, version)
          acknowledged = version
          await pass(seams, 40)
          if (life.engine.statistics().bytesMergedWaiting > 0) waited++
        }
      },
      () => acknowledged,
    )
    expect(waited).toBeGreaterThan(3)
    const { bytesMergedStored } = life.engine.statistics()
    expect(bytesMergedStored).toBeGreaterThan(0)
    for (const stop of stops.filter(({ number }) => number % 37 === 0)) {
      const next = stop.number % 2 === 0 ? afterPowerLoss : afterKill
      const later = next({ fileSystem: stop.disk }, stop.number)
      const engine = await open(name, later, {})
      const { version } = engine.position
      const about = `${name}, stop ${stop.number} (${stop.where})`
      expect([stop.promises, stop.promises + 1], about).toContain(version)
      expect(await contents(engine), about).toEqual(versions.get(version) ?? new Map())
      await engine.set(bytes("goes on"), bytes("yes"))
      const state = await contents(engine)
      await engine.snapshot({ version: 100 })
      await engine.close()
      const other = await open(name, later, {}, "/other")
      expect(await contents(other), about).toEqual(state)
      await other.close()
    }
    await timed(seams, life.engine.close())
  })
})
