// Garbage collection beside writers who know nothing of it: two of them store, commit and delete versions, with runs that
// they stored long ago, while a third collects. Others take partitions over from them, and some commit all the same, too
// late. Every version that is there comes back byte for byte at any time; when
// all versions are gone, so is everything else.

import {
  type CollectionResult,
  collectGarbage,
  DirectoryObjectStore,
  GRACE_MS_MIN,
  isEngineError,
  type Ownership,
  ownerKey,
  Repository as Repositories,
  type Repository,
  type RunToStore,
  type StoredRun,
  whyKept,
} from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { SimulatedCrash, SimulatedRandom, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { makeManifest, makeRun } from "../snapshots/make-run.ts"

const URL = "file:/repository"
const MINUTE = 60_000
const SEEDS = [1, 4, 5]
const STEPS = 250
const RECORDS = 400
/** Of the steps of a collection, one in so many is crashed at: a prime, so that all kinds of steps come up. */
const STRIDE = process.env["VARVE_EVERY_STEP"] === "1" ? 1 : 13

interface Run extends RunToStore {
  stored: StoredRun
}

interface Version {
  readonly version: number
  readonly partition: number
  readonly runs: readonly Run[]
}

interface Writer {
  readonly repository: Repository
  readonly ownership: Ownership
}

/** Two writers, each the owner of a partition, and one who collects. */
class World {
  readonly seams: SimulatedSeams
  readonly random: SimulatedRandom
  readonly versions: Version[] = []
  readonly counts = { removed: 0, rewritten: 0, pardoned: 0, forgotten: 0, endangered: 0, superseded: 0 }
  #writers: Writer[] = []
  #pending: (Version & { readonly writer: Writer })[] = []
  /** What each writer's state is made of. */
  readonly #runs: Run[][] = [[], []]
  #runCount = 0
  #nextVersion = 1

  constructor(seed: number, seams = simulatedSeams(seed)) {
    this.seams = seams
    this.random = new SimulatedRandom(seed + 77)
  }

  async open(): Promise<void> {
    await this.seams.fileSystem.makeDirectory("/runs")
    for (const partition of [0, 1]) await this.takeOver(partition)
  }

  async step(): Promise<void> {
    const dice = this.#below(100)
    const partition = this.#below(2)
    if (dice < 30) await this.begin(partition)
    else if (dice < 50) await this.finish(partition)
    else if (dice < 65) await this.delete()
    else if (dice < 80) await this.collect()
    else if (dice < 95) await this.seams.clock.sleep((1 + this.#below(900)) * MINUTE)
    else await this.takeOver(partition)
  }

  /** Stores a new run that is much like others; the version waits for its manifest. */
  async begin(partition: number): Promise<void> {
    const writer = this.#writers[partition]!
    if (this.#pending.some((each) => each.writer === writer)) return
    const number = ++this.#runCount
    const path = `/runs/${number}`
    const from = this.#below(RECORDS - 40)
    const changed = { from, to: from + 1 + this.#below(40) }
    const options = { recordCount: RECORDS, seed: 1 + this.#below(2), run: number, changed }
    const figures = await makeRun(this.seams.fileSystem, path, options)
    const { runs } = await writer.repository.storeRuns([{ figures, path }])
    const state = this.#runs[partition]!
    state.push({ figures, path, stored: runs[0]! })
    if (state.length > 3) state.splice(this.#below(3), 1)
    this.#pending.push({ version: this.#nextVersion++, partition, runs: [...state], writer })
  }

  /**
   * Commits as a partition does: what is endangered is stored anew before it is listed. A writer that has lost its
   * partition meanwhile is stopped before it can take its manifest back.
   */
  async finish(partition: number): Promise<void> {
    const version = this.#pending.find((each) => each.partition === partition)
    if (version === undefined) return
    this.#pending = this.#pending.filter((each) => each !== version)
    const { repository, ownership } = version.writer
    const { going: endangered } = await repository.endangered(version.runs.map(({ stored }) => stored))
    this.counts.endangered += endangered.size
    for (const run of version.runs) {
      if (endangered.has(run.figures.id)) run.stored = (await repository.storeRuns([run])).runs[0]!
    }
    const listed = version.runs.map(({ stored }) => stored)
    const manifest = makeManifest(listed, { version: version.version, partition })
    if (version.writer !== this.#writers[partition]) {
      return await repository.commit({ ...manifest, epoch: ownership.epoch })
    }
    await ownership.commit(manifest)
    // What was listed is what comes back, though the run may be stored anew for a later version.
    this.versions.push({ ...version, runs: version.runs.map((run) => ({ ...run })) })
  }

  async delete(): Promise<void> {
    const [version] = this.versions.splice(this.#below(this.versions.length), 1)
    if (version === undefined) return
    const name = { timeline: "a", version: version.version }
    const { repository } = this.#writers[version.partition]!
    await repository.deleteVersion("default", version.partition, name)
  }

  async collect(): Promise<CollectionResult> {
    const options = { url: URL, graceMs: GRACE_MS_MIN, liveMin: 0.7 }
    const expected = await this.seams.executor.run(collectGarbage, { ...options, dryRun: true })
    const result = await this.seams.executor.run(collectGarbage, options)
    expect({ ...result, bytesRewritten: 0 }).toEqual(expected)
    this.counts.removed += result.remove.length
    this.counts.rewritten += result.rewrite.length
    this.counts.pardoned += result.pardon.length + result.pardonNotes.length
    this.counts.forgotten += result.forget.length
    this.counts.superseded += result.superseded.length
    await this.check()
    return result
  }

  /** All versions are there, and all of their runs are what was stored. */
  async check(): Promise<void> {
    const reader = await this.openRepository()
    const { fileSystem } = this.seams
    for (const { version, partition, runs } of this.versions) {
      const manifest = await reader.readManifest("default", partition, { timeline: "a", version })
      expect(manifest.runs).toHaveLength(runs.length)
      for (const stored of manifest.runs) {
        await reader.fetchRun(stored, "/runs/back")
        const { path } = runs.find(({ figures }) => figures.id === stored.id)!
        expect(Buffer.compare(fileSystem.bytesOf("/runs/back"), fileSystem.bytesOf(path))).toBe(0)
        await fileSystem.remove("/runs/back")
      }
    }
  }

  /** Objects other than the root and those of owners. */
  objects(): string[] {
    const isObject = (path: string): boolean =>
      path.startsWith("/repository/") && !/~|\/repository\.json$|\/owner\//.test(path)
    return this.seams.fileSystem.paths().filter(isObject)
  }

  /** Somebody else owns the partition from here on. */
  async takeOver(partition: number): Promise<void> {
    const repository = await this.openRepository()
    const owned = { store: "default", partition, ownerName: "test", onLost: () => undefined }
    this.#writers[partition] = { repository, ownership: await repository.own(owned) }
  }

  async openRepository(): Promise<Repository> {
    const objectStore = await DirectoryObjectStore.open(this.seams.fileSystem, "/repository")
    return Repositories.open(objectStore, this.seams)
  }

  #below(count: number): number {
    return count === 0 ? 0 : this.random.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0) % count
  }
}

/** What collections did, and what writers met, over all seeds. */
const totals = new Map<string, number>()

describe("garbage collection", () => {
  test.each(SEEDS)(
    "never takes what a version needs, and in the end leaves nothing (seed %i)",
    async (seed) => {
      const world = new World(seed)
      await world.open()
      for (let step = 0; step < STEPS; step++) {
        try {
          await world.step()
        } catch (error) {
          throw new Error(`seed ${seed}, step ${step}: ${String(error)}`, { cause: error })
        }
      }
      await world.check()
      for (const [what, count] of Object.entries(world.counts))
        totals.set(what, (totals.get(what) ?? 0) + count)
      while (world.versions.length > 0) await world.delete()
      for (let i = 0; i < 6; i++) {
        await world.seams.clock.sleep(2 * GRACE_MS_MIN)
        await world.collect()
      }
      expect(world.objects()).toEqual([])
    },
  )

  test("all of it happened, or the tests above prove nothing", () => {
    expect(totals.size).toBeGreaterThan(0)
    for (const [what, count] of totals) expect(count, what).toBeGreaterThan(0)
  })

  test("a crash at any step costs nothing, and the next collection goes on", async () => {
    for (let step = 1; ; step += STRIDE) {
      const world = new World(5)
      await world.open()
      for (const partition of [0, 1, 0, 1, 0, 1]) {
        await world.begin(partition)
        await world.finish(partition)
      }
      for (let i = 0; i < 4; i++) await world.delete()
      const { fileSystem, clock } = world.seams
      const crashed = await (async () => {
        fileSystem.crashAt(fileSystem.steps + step)
        try {
          for (let round = 0; round < 4; round++) {
            await clock.sleep(2 * GRACE_MS_MIN)
            await world.seams.executor.run(collectGarbage, { url: URL, liveMin: 0.9, graceMs: GRACE_MS_MIN })
          }
          return false
        } catch (error) {
          if (!(error instanceof SimulatedCrash) && !isEngineError(error)) throw error
          return true
        }
      })()
      const seams = simulatedSeams(step, { fileSystem: fileSystem.restart(step), clock })
      const after = new World(5, seams)
      after.versions.push(...world.versions)
      await after.open()
      await after.check()
      for (let round = 0; round < 4; round++) {
        await clock.sleep(2 * GRACE_MS_MIN)
        await after.collect()
      }
      const left = await seams.executor.run(collectGarbage, { url: URL, dryRun: true })
      expect([left.condemn, left.remove, left.pardon, left.forget], `step ${step}`).toEqual([[], [], [], []])
      if (!crashed) break
    }
  })

  test("nothing goes while something that is needed is damaged", async () => {
    const world = new World(3)
    await world.open()
    for (let i = 0; i < 3; i++) {
      await world.begin(0)
      await world.finish(0)
    }
    await world.delete()
    await world.seams.clock.sleep(2 * GRACE_MS_MIN)
    const manifest = world.objects().find((path) => path.endsWith(".manifest"))!
    world.seams.fileSystem.flip(manifest, 99)
    const before = world.objects()
    await expect(world.seams.executor.run(collectGarbage, { url: URL })).rejects.toMatchObject({
      reason: "DATA_LOSS",
      message: expect.stringContaining(manifest.slice("/repository/".length)),
    })
    expect(world.objects()).toEqual(before)
  })

  test("what came too late keeps nothing, and what it lacks is no damage", async () => {
    const world = new World(3)
    const { executor, clock, fileSystem } = world.seams
    await world.open()
    await world.begin(0)
    await world.finish(0)
    const packsOf = (): string[] => world.objects().filter((path) => path.endsWith(".pack"))
    const before = packsOf()
    await world.begin(0)
    await world.takeOver(0)
    await world.finish(0)
    const late = world.objects().filter((path) => path.endsWith(".manifest"))[1]!
    const isThere = (path: string): boolean => world.objects().includes(path)
    await fileSystem.remove(packsOf().find((pack) => !before.includes(pack))!)
    // A takeover that is cut short: until the next one nobody knows whether it found the version in time.
    const claim = ownerKey("default", 0, { epoch: 2, what: "claim" })
    await fileSystem.rename(`/repository/${claim}`, "/claim")
    const unsure = await executor.run(collectGarbage, { url: URL })
    expect([unsure.superseded, unsure.manifestCount, isThere(late)]).toEqual([[], 2, true])
    await fileSystem.rename("/claim", `/repository/${claim}`)
    const expected = await executor.run(collectGarbage, { url: URL, dryRun: true })
    expect(isThere(late)).toBe(true)
    const sure = await executor.run(collectGarbage, { url: URL })
    expect([sure.superseded, sure.manifestCount, isThere(late)]).toEqual([[late.slice(12)], 1, false])
    expect(sure).toEqual(expected)
    await world.delete()
    for (let i = 0; i < 3; i++) {
      await clock.sleep(2 * GRACE_MS_MIN)
      await world.collect()
    }
    expect(world.objects()).toEqual([])
  })

  test("a grace that a writer may outlast is refused, unless nobody else is there", async () => {
    const world = new World(3)
    await world.open()
    const options = { url: URL, graceMs: GRACE_MS_MIN - 1 }
    await expect(world.seams.executor.run(collectGarbage, options)).rejects.toMatchObject({
      reason: "SETTING_INVALID",
    })
    await world.seams.executor.run(collectGarbage, { ...options, exclusive: true })
  })

  test("why a chunk or a pack is kept is told by version", async () => {
    const world = new World(3)
    await world.open()
    for (let i = 0; i < 3; i++) {
      await world.begin(0)
      await world.finish(0)
    }
    const [first] = world.versions
    const { pack } = first!.runs[0]!.stored.recipe
    const byPack = await world.seams.executor.run(whyKept, { url: URL, name: pack })
    expect(byPack.keepers.map(({ version }) => version)).toEqual([1, 2, 3])
    const { executor } = world.seams
    await expect(executor.run(whyKept, { url: URL, name: "no hash" })).rejects.toMatchObject({
      reason: "SETTING_INVALID",
    })
    expect(await executor.run(whyKept, { url: URL, name: "0".repeat(64) })).toEqual({
      chunks: [],
      keepers: [],
      images: [],
      damage: [],
    })
  })

  test("why tells the copies of a run apart, and says what it knows when a pack is missing", async () => {
    const world = new World(3)
    await world.open()
    await world.begin(0)
    await world.finish(0)
    const [{ stored, figures, path }] = world.versions[0]!.runs as [Run]
    // The same run, stored once more by somebody else: another recipe, in another pack.
    const repository = await world.openRepository()
    const { runs } = await repository.storeRuns([{ figures, path }])
    await repository.commit(makeManifest(runs, { version: 2, partition: 2 }))
    const { executor, fileSystem } = world.seams
    const why = (name: string) => executor.run(whyKept, { url: URL, name })
    const [first, copy] = [stored.recipe.pack, runs[0]!.recipe.pack]
    const keepers = (versions: readonly number[]) =>
      versions.map((version) => ({ version, runs: [stored.id] }))
    expect(copy).not.toBe(first)
    expect(await why(copy)).toMatchObject({ keepers: keepers([2]), damage: [] })
    expect(await why(first)).toMatchObject({ keepers: keepers([1, 2]), damage: [] })

    await fileSystem.remove(world.objects().find((object) => object.endsWith(`/${copy}.pack`))!)
    const { keepers: known, damage } = await why(copy)
    expect(known).toMatchObject(keepers([2]))
    // Who needs the pack, and what was looked for in it: the recipe.
    expect(damage).toEqual([expect.stringContaining(copy), expect.stringContaining(copy)])
    expect((await why(first)).keepers).toMatchObject(keepers([1]))
    await expect(executor.run(collectGarbage, { url: URL })).rejects.toMatchObject({ reason: "DATA_LOSS" })
  })
})
