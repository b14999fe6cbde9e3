// The machine stops in every call that changes the disk while storing and committing. Afterwards a version is listed,
// and then every run of it comes back byte for byte; or it is not listed. What was committed before is there in any
// case.

import { DirectoryObjectStore, Repository, type RunToStore } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import {
  type SimulatedFileSystem,
  type SimulatedSeams,
  simulatedSeams,
  stopEverywhere,
} from "../simulation/index.ts"
import { makeManifest, makeRun } from "./make-run.ts"

const seeds = [1, 2, 3]

async function openRepository(seams: SimulatedSeams): Promise<Repository> {
  return Repository.open(await DirectoryObjectStore.open(seams.fileSystem, "/repository"), seams)
}

/** What a life of the machine was told, and the bytes of the runs as they were written. */
interface Life {
  readonly committed: Set<number>
  readonly written: Map<string, Uint8Array>
}

/** Two versions, of one run and of two; the second run is much like the first. */
async function live(seams: SimulatedSeams, life: Life): Promise<void> {
  const { fileSystem } = seams
  await fileSystem.makeDirectory("/runs")
  const repository = await openRepository(seams)
  const runs: RunToStore[] = []
  for (const version of [1, 2]) {
    const path = `/runs/${version}`
    const changed = { from: 0, to: version }
    const figures = await makeRun(fileSystem, path, { recordCount: 300, seed: 9, run: version, changed })
    life.written.set(figures.id, fileSystem.bytesOf(path))
    runs.push({ figures, path })
    const stored = await repository.storeRuns(runs)
    await repository.commit(makeManifest(stored.runs, { version }))
    life.committed.add(version)
  }
  await repository.close()
}

/** What a new life finds: the versions listed, after all their runs were fetched and compared. */
async function survivors(fileSystem: SimulatedFileSystem, seed: number, life: Life): Promise<number[]> {
  const seams = simulatedSeams(seed, { fileSystem })
  const repository = await openRepository(seams)
  await fileSystem.makeDirectory("/back")
  const versions = await repository.listVersions("default", 0)
  expect([...repository.damaged]).toEqual([])
  for (const { version, timeline } of versions) {
    const manifest = await repository.readManifest("default", 0, { version, timeline })
    for (const run of manifest.runs) {
      const path = `/back/${version}-${run.run}`
      await repository.fetchRun(run, path)
      expect(Buffer.compare(fileSystem.bytesOf(path), life.written.get(run.id)!)).toBe(0)
    }
  }
  // The next life stores and commits as if nothing had been.
  await fileSystem.removeDirectory("/runs")
  await fileSystem.makeDirectory("/runs")
  const figures = await makeRun(fileSystem, "/runs/3", { recordCount: 300, seed: 9, run: 3 })
  const { runs } = await repository.storeRuns([{ figures, path: "/runs/3" }])
  await repository.commit(makeManifest(runs, { version: 3 }))
  await repository.fetchRun(runs[0]!, "/back/3")
  expect(Buffer.compare(fileSystem.bytesOf("/back/3"), fileSystem.bytesOf("/runs/3"))).toBe(0)
  return versions.map(({ version }) => version)
}

describe("repository: a crash", () => {
  test.each(seeds)(
    "in any call that changes the disk, while storing and committing, leaves versions whole or absent (seed %d)",
    async (seed) => {
      const seams = simulatedSeams(seed)
      const life: Life = { committed: new Set(), written: new Map() }
      const stops = await stopEverywhere(
        seams.fileSystem,
        () => live(seams, life),
        () => new Set(life.committed),
      )
      const outcomes = new Set<string>()
      for (const { disk, promises: committed, number, where } of stops) {
        for (const after of [disk.restart(seed * 1000 + number), disk.restart(number)]) {
          const found = await survivors(after, seed, life)
          for (const version of committed) expect(found, `seed ${seed}: ${where}`).toContain(version)
          outcomes.add(found.join())
        }
      }
      expect([...outcomes].sort()).toEqual(["", "1", "1,2"])
    },
  )

  test.each(seeds)(
    "in any call that changes the disk, in a fetch, leaves the run whole or absent (seed %d)",
    async (seed) => {
      const seams = simulatedSeams(seed)
      const { fileSystem } = seams
      await fileSystem.makeDirectory("/runs")
      const repository = await openRepository(seams)
      const figures = await makeRun(fileSystem, "/runs/a", { recordCount: 300, seed: 9 })
      const { runs } = await repository.storeRuns([{ figures, path: "/runs/a" }])
      const bytes = fileSystem.bytesOf("/runs/a")
      let isDone = false
      const stops = await stopEverywhere(
        fileSystem,
        async () => {
          await repository.fetchRun(runs[0]!, "/runs/b")
          isDone = true
        },
        () => isDone,
      )
      expect(stops.length).toBeGreaterThan(4)
      for (const { disk, promises: wasDone, number } of stops) {
        const after = disk.restart(seed * 1000 + number)
        const isThere = after.paths().includes("/runs/b")
        if (wasDone) expect(isThere).toBe(true)
        if (isThere) expect(Buffer.compare(after.bytesOf("/runs/b"), bytes)).toBe(0)
        if (wasDone) continue
        const again = await openRepository(simulatedSeams(seed, { fileSystem: after }))
        await again.fetchRun(runs[0]!, "/runs/b")
        expect(Buffer.compare(after.bytesOf("/runs/b"), bytes)).toBe(0)
      }
    },
  )
})
