// The repository on a simulated disk: nothing that is damaged is believed, stored or relied upon.

import { EngineError, encodeRecord, PACKS_PREFIX, Repository, RunWriter } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { addRun, expectFetched, open, packs } from "./repository-house.ts"

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
