// The repository on a simulated disk: versions are committed, listed, read, pinned and removed.

import { EngineError, manifestKey, pinKey, Repository } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { makeManifest } from "./make-run.ts"
import { addRun, open, packs } from "./repository-house.ts"

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
