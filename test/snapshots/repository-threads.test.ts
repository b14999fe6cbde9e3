// The repository as it runs in a daemon: jobs in threads, files on the real disk.

import { readFileSync } from "node:fs"
import {
  DirectoryObjectStore,
  Repository,
  type RunToStore,
  type SystemSeams,
  systemSeams,
} from "@varve/engines/internal"
import { afterAll, beforeAll, expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { temporaryDirectory } from "../io/temporary-directory.ts"
import { makeRun } from "./make-run.ts"

let seams: SystemSeams

beforeAll(() => {
  seams = systemSeams({ threads: 2 })
})

afterAll(() => seams.close())

const directory = temporaryDirectory()

test("repository in threads: runs come back byte for byte, and errors with their reasons", async () => {
  const objectStore = await DirectoryObjectStore.open(seams.fileSystem, `${directory}/repository`)
  const repository = await Repository.open(objectStore, seams)
  const runs: RunToStore[] = []
  for (const run of [1, 2, 3]) {
    const path = `${directory}/${run}.run`
    runs.push({ figures: await makeRun(seams.fileSystem, path, { recordCount: 2000, seed: run, run }), path })
  }
  const stored = await Promise.all([
    repository.storeRuns(runs.slice(0, 2)),
    repository.storeRuns(runs.slice(1)),
  ])
  const [first, second, third] = [stored[0].runs[0]!, stored[0].runs[1]!, stored[1].runs[1]!]
  await Promise.all(
    [first, second, third].map(async (run, i) => {
      await repository.fetchRun(run, `${directory}/${i}.back`)
      const [back, there] = [readFileSync(`${directory}/${i}.back`), readFileSync(runs[i]!.path)]
      expect(Buffer.compare(back, there)).toBe(0)
    }),
  )
  const wrong = { ...first, recipe: { ...first.recipe, offset: 0 } }
  await expectReason(repository.fetchRun(wrong, `${directory}/wrong.back`), "DATA_LOSS")
  await repository.close()
})
