// The repository on a simulated disk: what is stored comes back byte for byte, and what is there is not stored again.

import { DirectoryObjectStore, Repository, type RunToStore } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { simulatedSeams } from "../simulation/index.ts"
import type { RunOptions } from "./make-run.ts"
import { addRun, expectFetched, open, packs } from "./repository-house.ts"

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
