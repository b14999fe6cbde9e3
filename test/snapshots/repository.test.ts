// The repository on a simulated disk: what is stored comes back byte for byte, what is there is not stored again,
// and nothing damaged is believed.

import {
  DirectoryObjectStore,
  EngineError,
  encodeRecord,
  manifestKey,
  type ObjectStore,
  PACKS_PREFIX,
  pinKey,
  Repository,
  type RunToStore,
  RunWriter,
  type StoredRun,
} from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { makeManifest, makeRun, type RunOptions } from "./make-run.ts"

interface House {
  readonly seams: SimulatedSeams
  readonly objectStore: ObjectStore
  readonly repository: Repository
}

async function open(seams = simulatedSeams(1)): Promise<House> {
  await seams.fileSystem.makeDirectory("/runs")
  const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
  return { seams, objectStore, repository: await Repository.open(objectStore, seams) }
}

async function addRun({ seams }: House, name: string, options: RunOptions): Promise<RunToStore> {
  const path = `/runs/${name}`
  return { figures: await makeRun(seams.fileSystem, path, options), path }
}

async function expectFetched({ seams, repository }: House, stored: StoredRun, path: string): Promise<void> {
  await repository.fetchRun(stored, "/runs/back")
  expect(Buffer.compare(seams.fileSystem.bytesOf("/runs/back"), seams.fileSystem.bytesOf(path))).toBe(0)
  await seams.fileSystem.remove("/runs/back")
}

function packs({ seams }: House): string[] {
  return seams.fileSystem.paths().filter((path) => path.endsWith(".pack"))
}

describe("repository: runs", () => {
  test.each<[string, RunOptions]>([
    ["no records", { recordCount: 0, seed: 1 }],
    ["one record", { recordCount: 1, seed: 1 }],
    ["many small records", { recordCount: 6000, seed: 1, valueBytes: 16 }],
    ["padding", { recordCount: 500, seed: 1, padding: 3000 }],
    [
      "records above the largest chunk, and above the range of a request",
      { recordCount: 2, seed: 1, valueBytes: 2_500_000 },
    ],
  ])("a run of %s comes back byte for byte", async (_, options) => {
    const house = await open()
    const run = await addRun(house, "a.run", options)
    const { runs } = await house.repository.storeRuns([run])
    expect(runs).toMatchObject([run.figures])
    await expectFetched(house, runs[0]!, run.path)
    expect(house.seams.fileSystem.openPaths).toEqual([])
    expect(house.seams.fileSystem.paths().filter((path) => path.endsWith(".tmp"))).toEqual([])
  })

  test("runs that are stored together travel in one pack, and are whole in another repository's eyes", async () => {
    const house = await open()
    const first = await addRun(house, "a.run", { recordCount: 1000, seed: 1, run: 1 })
    const second = await addRun(house, "b.run", { recordCount: 1000, seed: 2, run: 2 })
    const { runs, bytesNew, bytesReused } = await house.repository.storeRuns([first, second])
    expect(packs(house)).toHaveLength(1)
    expect(bytesNew).toBe(house.seams.fileSystem.bytesOf(packs(house)[0]!).length)
    expect(bytesReused).toBe(0)
    const other = { ...house, repository: await Repository.open(house.objectStore, house.seams) }
    expect(other.repository.identity).toBe(house.repository.identity)
    await expectFetched(other, runs[0]!, first.path)
    await expectFetched(other, runs[1]!, second.path)
  })

  test("no runs, no pack", async () => {
    const house = await open()
    expect(await house.repository.storeRuns([])).toMatchObject({
      runs: [],
      bytesNew: 0,
      bytesReused: 0,
      chunksNew: 0,
      chunksReused: 0,
    })
    expect(packs(house)).toEqual([])
  })

  test("a run that is stored again costs a recipe, also after the repository was opened again", async () => {
    const house = await open()
    const run = await addRun(house, "a.run", { recordCount: 5000, seed: 1 })
    const first = await house.repository.storeRuns([run])
    for (const repository of [house.repository, await Repository.open(house.objectStore, house.seams)]) {
      const again = await repository.storeRuns([run])
      expect(again).toMatchObject({
        bytesReused: run.figures.bytes,
        chunksNew: 0,
        chunksReused: first.chunksNew,
      })
      expect(again.bytesNew).toBeLessThan(run.figures.bytes * 0.005)
      await expectFetched({ ...house, repository }, again.runs[0]!, run.path)
    }
  })

  test("of a run of which a hundredth has changed, little more than that is stored", async () => {
    const house = await open()
    const options = { recordCount: 64_000, seed: 1 }
    await house.repository.storeRuns([await addRun(house, "a.run", { ...options, run: 1 })])
    const changed = await addRun(house, "b.run", {
      ...options,
      run: 2,
      changed: { from: 20_000, to: 20_640 },
    })
    // Opened again, so that it learns from the pack what is there.
    const repository = await Repository.open(house.objectStore, house.seams)
    const { runs, bytesNew, bytesReused } = await repository.storeRuns([changed])
    expect(bytesNew).toBeGreaterThan(changed.figures.bytes * 0.01)
    expect(bytesNew).toBeLessThan(changed.figures.bytes * 0.03)
    expect(bytesReused).toBeGreaterThan(changed.figures.bytes * 0.97)
    await expectFetched(house, runs[0]!, changed.path)
  })

  test("a chunk that comes up twice in one call is stored once", async () => {
    const house = await open()
    const run = await addRun(house, "a.run", { recordCount: 2000, seed: 1 })
    const { chunksNew, chunksReused, runs } = await house.repository.storeRuns([run, run])
    expect(chunksReused).toBe(chunksNew)
    await expectFetched(house, runs[1]!, run.path)
  })

  test("large commits are cut into packs of at most 32 MiB", async () => {
    const house = await open()
    const run = await addRun(house, "a.run", { recordCount: 9, seed: 1, valueBytes: 4 * 1024 * 1024 })
    const { runs, bytesNew } = await house.repository.storeRuns([run])
    const sizes = packs(house).map((path) => house.seams.fileSystem.bytesOf(path).length)
    expect(sizes).toHaveLength(2)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(32 * 1024 * 1024)
    expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBe(bytesNew)
    await expectFetched(house, runs[0]!, run.path)
  })

  test("calls that overlap store what they should, whoever is first", async () => {
    const house = await open()
    const runs: RunToStore[] = []
    for (let i = 1; i <= 4; i++) {
      runs.push(await addRun(house, `${i}.run`, { recordCount: 1500, seed: i % 2, run: i }))
    }
    const other = await Repository.open(house.objectStore, house.seams)
    const stored = await Promise.all(
      runs.map((run, i) => (i < 3 ? house.repository : other).storeRuns([run])),
    )
    for (const [i, result] of stored.entries()) await expectFetched(house, result.runs[0]!, runs[i]!.path)
  })
})

describe("repository: damage", () => {
  test("no bit of a pack can change without the fetch failing, or being right", async () => {
    const house = await open()
    const { fileSystem } = house.seams
    const run = await addRun(house, "a.run", { recordCount: 12, seed: 1, valueBytes: 20 })
    const { runs } = await house.repository.storeRuns([run])
    const pack = packs(house)[0]!
    const bytes = fileSystem.bytesOf(pack).length
    const { offset, bytes: recipeBytes } = runs[0]!.recipe
    for (let at = 0; at < bytes; at++) {
      fileSystem.flip(pack, at * 8 + (at % 8))
      if (at < offset + recipeBytes) {
        const message = await expectReason(house.repository.fetchRun(runs[0]!, "/runs/back"), "DATA_LOSS")
        expect(message).toContain(pack.slice("/repository/".length))
        expect(fileSystem.paths()).not.toContain("/runs/back")
      } else {
        await expectFetched(house, runs[0]!, run.path)
      }
      fileSystem.flip(pack, at * 8 + (at % 8))
    }
    await expectFetched(house, runs[0]!, run.path)
  })

  test("a truncated or missing pack is damage", async () => {
    const house = await open()
    const { fileSystem } = house.seams
    const run = await addRun(house, "a.run", { recordCount: 12, seed: 1, valueBytes: 20 })
    const { runs } = await house.repository.storeRuns([run])
    const pack = packs(house)[0]!
    const { offset, bytes } = runs[0]!.recipe
    for (const length of [offset + bytes - 1, offset, 10, 0]) {
      fileSystem.truncate(pack, length)
      await expectReason(house.repository.fetchRun(runs[0]!, "/runs/back"), "DATA_LOSS")
    }
    await fileSystem.remove(pack)
    await expectReason(house.repository.fetchRun(runs[0]!, "/runs/back"), "DATA_LOSS")
  })

  test("a truncated or missing pack of chunks is damage, although the recipe lies in another", async () => {
    const house = await open()
    const { fileSystem } = house.seams
    const run = await addRun(house, "a.run", { recordCount: 200, seed: 1 })
    await house.repository.storeRuns([run])
    const pack = packs(house)[0]!
    const { runs } = await house.repository.storeRuns([run])
    expect(pack).not.toContain(runs[0]!.recipe.pack)
    for (const length of [run.figures.bytes - 1, 0]) {
      fileSystem.truncate(pack, length)
      expect(await expectReason(house.repository.fetchRun(runs[0]!, "/runs/back"), "DATA_LOSS")).toContain(
        "ends before",
      )
    }
    await fileSystem.remove(pack)
    expect(await expectReason(house.repository.fetchRun(runs[0]!, "/runs/back"), "DATA_LOSS")).toContain(
      "missing",
    )
  })

  test.each(["flip", "truncate", "remove"] as const)(
    "a run that changes between being cut and being written is not stored: %s",
    async (spoil) => {
      const house = await open()
      const { fileSystem, executor } = house.seams
      const run = await addRun(house, "a.run", { recordCount: 200, seed: 1 })
      const runJob = executor.run.bind(executor)
      executor.run = async (job, input, transfer) => {
        const output = await runJob(job, input, transfer)
        if (job.name === "cutRun" && spoil === "flip") fileSystem.flip(run.path, 4000)
        if (job.name === "cutRun" && spoil === "truncate") fileSystem.truncate(run.path, 4000)
        if (job.name === "cutRun" && spoil === "remove") await fileSystem.remove(run.path)
        return output
      }
      expect(await expectReason(house.repository.storeRuns([run]), "DATA_LOSS")).toContain(run.path)
      expect(packs(house)).toEqual([])
    },
  )

  test("the recipe of another run is damage", async () => {
    const house = await open()
    const first = await addRun(house, "a.run", { recordCount: 50, seed: 1, run: 1 })
    const second = await addRun(house, "b.run", { recordCount: 50, seed: 1, run: 2 })
    const { runs } = await house.repository.storeRuns([first, second])
    const mixed = { ...runs[0]!, recipe: runs[1]!.recipe }
    expect(await expectReason(house.repository.fetchRun(mixed, "/runs/back"), "DATA_LOSS")).toContain(
      "of run",
    )
    const other = { ...runs[0]!, recipe: { ...runs[0]!.recipe, hash: runs[1]!.recipe.hash } }
    expect(await expectReason(house.repository.fetchRun(other, "/runs/back"), "DATA_LOSS")).toContain(
      "hash of",
    )
    const longer = { ...runs[0]!, bytes: runs[0]!.bytes + 1 }
    await expectReason(house.repository.fetchRun(longer, "/runs/back"), "DATA_LOSS")
  })

  test("no damaged run is stored, whichever bit it is", async () => {
    const house = await open()
    const { fileSystem } = house.seams
    const run = await addRun(house, "a.run", { recordCount: 12, seed: 1, valueBytes: 20 })
    for (let at = 0; at < run.figures.bytes; at++) {
      fileSystem.flip(run.path, at * 8 + (at % 8))
      await expect(house.repository.storeRuns([run])).rejects.toMatchObject({ kind: "corruption" })
      fileSystem.flip(run.path, at * 8 + (at % 8))
    }
    expect(packs(house)).toEqual([])
    await house.repository.storeRuns([run])
  })

  test("a run that holds something else than records is not stored, although its checksums are right", async () => {
    const house = await open()
    const { fileSystem } = house.seams
    const origin = { id: "0".repeat(32), level: 0, run: 1, version: 1, hashSeed: 1 }
    const writer = await RunWriter.create(fileSystem, "/runs/a.run", origin)
    await writer.append(encodeRecord(Buffer.from("a"), Buffer.from("value")))
    await writer.append(Buffer.from("no record"))
    const run = { figures: await writer.finish(), path: "/runs/a.run" }
    expect(await expectReason(house.repository.storeRuns([run]), "DATA_LOSS")).toContain(
      "no record starts at byte 9",
    )
  })

  test("a run whose file is missing, or is another run, is not stored", async () => {
    const house = await open()
    const run = await addRun(house, "a.run", { recordCount: 10, seed: 1, run: 1 })
    const other = await addRun(house, "b.run", { recordCount: 10, seed: 2, run: 1 })
    await expectReason(house.repository.storeRuns([{ ...run, path: other.path }]), "DATA_LOSS")
    await expectReason(house.repository.storeRuns([{ ...run, path: "/runs/none" }]), "DATA_LOSS")
  })

  test("a damaged pack costs its deduplication, is told, and nothing else", async () => {
    const house = await open()
    const run = await addRun(house, "a.run", { recordCount: 1000, seed: 1 })
    await house.repository.storeRuns([run])
    const pack = packs(house)[0]!
    house.seams.fileSystem.flip(pack, 8 * (house.seams.fileSystem.bytesOf(pack).length - 50))
    const other = await Repository.open(house.objectStore, house.seams)
    const again = await other.storeRuns([run])
    expect(again.chunksReused).toBe(0)
    expect([...other.damaged.keys()]).toEqual([pack.slice("/repository/".length)])
    await expectFetched(house, again.runs[0]!, run.path)
  })

  test("a store that fails while chunks are looked up is told; the next call looks again, later ones need not", async () => {
    const house = await open()
    const run = await addRun(house, "a.run", { recordCount: 1000, seed: 1 })
    await house.repository.storeRuns([run])
    const repository = await Repository.open(house.objectStore, house.seams)
    const list = house.objectStore.list.bind(house.objectStore)
    let calls = 0
    house.objectStore.list = async (prefix) => {
      if (prefix === PACKS_PREFIX) calls++
      if (prefix === PACKS_PREFIX && calls === 1) throw new EngineError("REPOSITORY_FAILED", "no answer")
      return list(prefix)
    }
    await expectReason(repository.storeRuns([run]), "REPOSITORY_FAILED")
    expect(packs(house)).toHaveLength(1)
    for (let i = 0; i < 3; i++) expect((await repository.storeRuns([run])).chunksNew).toBe(0)
    expect(calls).toBe(2)
  })

  test("a failing disk leaves nothing behind, and the next call stores everything", async () => {
    const house = await open()
    const { fileSystem } = house.seams
    const run = await addRun(house, "a.run", { recordCount: 1000, seed: 1 })
    fileSystem.failNth("sync", 1)
    await expectReason(house.repository.storeRuns([run]), "REPOSITORY_FAILED")
    expect(packs(house)).toEqual([])
    const { runs } = await house.repository.storeRuns([run])
    fileSystem.failNth("sync", 1)
    await expectReason(house.repository.fetchRun(runs[0]!, "/runs/back"), "STORAGE_FAILED")
    expect(fileSystem.paths().filter((path) => path.startsWith("/runs/"))).toEqual([run.path])
    await expectFetched(house, runs[0]!, run.path)
  })

  test("a full disk is told as full, and heals", async () => {
    const house = await open()
    const { fileSystem } = house.seams
    const run = await addRun(house, "a.run", { recordCount: 1000, seed: 1 })
    fileSystem.setFreeBytes(50_000)
    await expectReason(house.repository.storeRuns([run]), "STORAGE_FULL")
    fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
    const { runs } = await house.repository.storeRuns([run])
    await expectFetched(house, runs[0]!, run.path)
  })
})

describe("repository: versions", () => {
  test("a committed version is listed and read; of two commits of one version exactly one wins", async () => {
    const house = await open()
    const { repository } = house
    const run = await addRun(house, "a.run", { recordCount: 100, seed: 1 })
    const { runs } = await repository.storeRuns([run])
    const other = await Repository.open(house.objectStore, house.seams)
    const rivals = [repository, other, repository, other].map((each, i) =>
      each.commit({ ...makeManifest(runs, { version: 1 }), createdMs: i }),
    )
    const outcomes = await Promise.allSettled(rivals)
    const won = outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? [i] : []))
    expect(won).toHaveLength(1)
    for (const each of outcomes) {
      if (each.status === "rejected") expect((each.reason as EngineError).reason).toBe("VERSION_EXISTS")
    }
    const manifest = await repository.readManifest("default", 0, { timeline: "a", version: 1 })
    expect(manifest).toEqual({ ...makeManifest(runs, { version: 1 }), createdMs: won[0] })
    expect(await repository.listVersions("default", 0)).toMatchObject([{ timeline: "a", version: 1 }])
    expect(await repository.listVersions("default", 1)).toEqual([])
    await expectReason(
      repository.readManifest("default", 0, { timeline: "b", version: 1 }),
      "SNAPSHOT_NOT_FOUND",
    )
  })

  test("versions of all timelines are listed oldest first, with their pins", async () => {
    const { repository } = await open()
    for (const [timeline, version] of [
      ["a", 10],
      ["b", 3],
      ["a", 2],
    ] as const) {
      await repository.commit(makeManifest([], { timeline, version }))
    }
    await repository.commit(makeManifest([], { version: 1, partition: 1 }))
    await repository.pin("default", 0, { timeline: "b", version: 3 })
    const listed = await repository.listVersions("default", 0)
    expect(listed.map(({ timeline, version, pinned }) => ({ timeline, version, pinned }))).toEqual([
      { timeline: "a", version: 2, pinned: false },
      { timeline: "b", version: 3, pinned: true },
      { timeline: "a", version: 10, pinned: false },
    ])
    expect(Buffer.from(listed[0]!.metadata).toString()).toBe("metadata of 2")
  })

  test("a listing reads each manifest once", async () => {
    const { repository, objectStore } = await open()
    for (let version = 1; version <= 20; version++) await repository.commit(makeManifest([], { version }))
    const first = await repository.listVersions("default", 0)
    const get = objectStore.get.bind(objectStore)
    let reads = 0
    objectStore.get = (key, range) => {
      reads++
      return get(key, range)
    }
    expect(await repository.listVersions("default", 0)).toEqual(first)
    expect(reads).toBe(0)
    await repository.commit(makeManifest([], { version: 21 }))
    expect(await repository.listVersions("default", 0)).toHaveLength(21)
    expect(reads).toBe(1)
  })

  test("a version that goes while it is listed is left out; a failing store is not taken for damage", async () => {
    const { repository, objectStore } = await open()
    for (const version of [1, 2]) await repository.commit(makeManifest([], { version }))
    const get = objectStore.get.bind(objectStore)
    objectStore.get = async () => {
      throw new EngineError("REPOSITORY_FAILED", "no answer")
    }
    await expectReason(repository.listVersions("default", 0), "REPOSITORY_FAILED")
    const gone = manifestKey("default", 0, { timeline: "a", version: 1, epoch: 0 })
    objectStore.get = async (key, range) => (key === gone ? undefined : get(key, range))
    expect((await repository.listVersions("default", 0)).map(({ version }) => version)).toEqual([2])
    expect(repository.damaged.size).toBe(0)
  })

  test("a damaged manifest hides no other, is told, and can be removed", async () => {
    const { repository, seams } = await open()
    for (const version of [1, 2, 3]) await repository.commit(makeManifest([], { version }))
    const name = { timeline: "a", version: 2 }
    const key = manifestKey("default", 0, { ...name, epoch: 0 })
    seams.fileSystem.flip(`/repository/${key}`, 100)
    expect((await repository.listVersions("default", 0)).map(({ version }) => version)).toEqual([1, 3])
    expect([...repository.damaged.keys()]).toEqual([key])
    expect(await expectReason(repository.readManifest("default", 0, name), "DATA_LOSS")).toContain(key)
    await repository.deleteVersion("default", 0, name)
    expect((await repository.listVersions("default", 0)).map(({ version }) => version)).toEqual([1, 3])
    expect([...repository.damaged.keys()]).toEqual([])
  })

  test("a manifest that is mended, or was removed by another, is no longer told as damaged", async () => {
    const { repository, seams, objectStore } = await open()
    for (const version of [1, 2]) await repository.commit(makeManifest([], { version }))
    const keys = [1, 2].map((version) => manifestKey("default", 0, { timeline: "a", version, epoch: 0 }))
    for (const key of keys) seams.fileSystem.flip(`/repository/${key}`, 100)
    await repository.listVersions("default", 0)
    expect(repository.damaged.size).toBe(2)
    seams.fileSystem.flip(`/repository/${keys[0]}`, 100)
    await objectStore.remove(keys[1]!)
    expect(await repository.listVersions("default", 0)).toHaveLength(1)
    expect(repository.damaged.size).toBe(0)
  })

  test("a pinned version is not removed until the pin is off; both may be said twice", async () => {
    const { repository, seams } = await open()
    const name = { timeline: "a", version: 1 }
    await repository.commit(makeManifest([], { version: 1 }))
    for (const pin of ["", "nightly", "before-2.0", "nightly"]) {
      await repository.pin("default", 0, name, pin)
    }
    await expectReason(repository.deleteVersion("default", 0, name), "SNAPSHOT_PINNED")
    const listed = (): Promise<unknown> => repository.listVersions("default", 0)
    expect(await listed()).toMatchObject([{ pinned: true, pinNames: ["before-2.0", "nightly"] }])
    await repository.unpin("default", 0, name, "nightly")
    expect(await listed()).toMatchObject([{ pinned: true, pinNames: ["before-2.0"] }])
    await repository.unpin("default", 0, name)
    expect(await listed()).toMatchObject([{ pinned: false, pinNames: [] }])
    await repository.unpin("default", 0, name)
    await repository.pin("default", 0, name, "nightly")
    await repository.unpin("default", 0, name, "nightly")
    await repository.deleteVersion("default", 0, name)
    expect(await repository.listVersions("default", 0)).toEqual([])
    await expectReason(repository.deleteVersion("default", 0, name), "SNAPSHOT_NOT_FOUND")
    await expectReason(repository.pin("default", 0, name), "SNAPSHOT_NOT_FOUND")
    await expectReason(repository.unpin("default", 0, name), "SNAPSHOT_NOT_FOUND")
    expect(seams.fileSystem.paths().filter((path) => path.endsWith(".pin"))).toEqual([])
    expect(pinKey("default", 0, name)).toMatch(/\.pin$/)
  })

  test("stores are those that have versions", async () => {
    const { repository } = await open()
    expect(await repository.stores()).toEqual([])
    for (const store of ["b", "a", "b"]) {
      const version = (await repository.listVersions(store, 0)).length + 1
      await repository.commit({ ...makeManifest([], { version }), store })
    }
    expect(await repository.stores()).toEqual(["a", "b"])
  })

  test("bad names are refused before they become keys", async () => {
    const { repository } = await open()
    await expectReason(repository.listVersions("../x", 0), "STORE_NAME_INVALID")
    await expectReason(
      repository.commit({ ...makeManifest([], { version: 1 }), store: "A" }),
      "STORE_NAME_INVALID",
    )
    for (const name of [
      { timeline: "..", version: 1 },
      { timeline: "a", version: 0 },
    ]) {
      await expectReason(repository.readManifest("default", 0, name), "VERSION_INVALID")
      await expectReason(repository.deleteVersion("default", 0, name), "VERSION_INVALID")
      await expectReason(repository.pin("default", 0, name), "VERSION_INVALID")
    }
    await expectReason(repository.pin("default", 0, { timeline: "a", version: 1 }, "../x"), "SETTING_INVALID")
  })

  test("after close calls are refused, and those that ran are over", async () => {
    const house = await open()
    const run = await addRun(house, "a.run", { recordCount: 1000, seed: 1 })
    let isStored = false
    const storing = house.repository.storeRuns([run]).then(() => {
      isStored = true
    })
    await house.repository.close()
    await Promise.resolve()
    expect(packs(house)).toHaveLength(1)
    await storing
    expect(isStored).toBe(true)
    await expectReason(house.repository.listVersions("default", 0), "ENGINE_CLOSED")
    await expectReason(house.repository.storeRuns([run]), "ENGINE_CLOSED")
  })
})

describe("repository: its root", () => {
  test("repositories that are made at the same time in one place are one", async () => {
    const seams = simulatedSeams(3)
    const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
    const made = await Promise.all([1, 2, 3, 4].map(() => Repository.open(objectStore, seams)))
    expect(new Set(made.map(({ identity }) => identity)).size).toBe(1)
    expect(made[0]!.identity).toMatch(/^[0-9a-f]{32}$/)
    expect(made[0]!.url).toBe("file:/repository")
  })

  test("a damaged root is refused", async () => {
    const { seams, objectStore } = await open()
    seams.fileSystem.flip("/repository/repository.json", 200)
    await expectReason(Repository.open(objectStore, seams), "DATA_LOSS")
  })
})
