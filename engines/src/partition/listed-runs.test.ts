// Manifests list what is stored, newest first, and never a file that went away.

import { expect, test, vi } from "vitest"
import type { OpenRun } from "../runs/run-set.ts"
import type { Repository } from "../snapshots/repository.ts"
import { ListedRuns } from "./listed-runs.ts"

function run(id: string, level: number, number: number): { run: OpenRun; holds: () => number } {
  let holds = 1
  const figures = {
    id,
    level,
    run: number,
    version: 0,
    bytes: 1,
    recordsBytes: 1,
    recordCount: 1,
    tombstoneCount: 0,
  }
  const open = {
    figures,
    path: `/${id}`,
    retain: () => void holds++,
    release: () => void holds--,
  }
  return { run: open as unknown as OpenRun, holds: () => holds }
}

/** A repository whose uploads end when the test says so. */
function slowRepository(): { repository: Repository; uploads: { ids: string[]; end: () => void }[] } {
  const uploads: { ids: string[]; end: () => void }[] = []
  const storeRuns = (runs: readonly { figures: { id: string } }[]): Promise<unknown> =>
    new Promise((resolve) => {
      const stored = runs.map(({ figures }) => ({ ...figures, recipe: {} }))
      uploads.push({ ids: runs.map(({ figures }) => figures.id), end: () => resolve({ runs: stored }) })
    })
  const endangered = async (): Promise<Set<string>> => new Set()
  return { repository: { storeRuns, endangered } as unknown as Repository, uploads }
}

test("files that a snapshot uploads stay, though the run that replaces them is stored first", async () => {
  const { repository, uploads } = slowRepository()
  const listed = new ListedRuns(repository, {})
  const [a, b, m] = [run("a", 0, 1), run("b", 0, 2), run("m", 1, 3)]
  listed.draftCount = 1
  listed.merged([b.run, a.run], m.run, true)
  // A snapshot that was made before the merge ends.
  listed.keepOnly([m.run])
  a.run.release()
  b.run.release()
  const upload = listed.storeMerged(m.run)
  const snapshot = listed.store([m.run])
  await vi.waitFor(() => expect(uploads).toHaveLength(2))
  expect(uploads.map(({ ids }) => ids)).toEqual([["m"], ["b", "a"]])
  uploads[0]!.end()
  await upload
  expect([a.holds(), b.holds()]).toEqual([1, 1])
  uploads[1]!.end()
  expect((await snapshot).runs.map(({ id }) => id)).toEqual(["b", "a"])
  expect([a.holds(), b.holds()]).toEqual([0, 0])
})

test("an older run that is known by its inputs is listed itself behind a merged one that is not", async () => {
  const { repository, uploads } = slowRepository()
  const figures = (id: string, level: number, number: number) =>
    ({ ...run(id, level, number).run.figures, recipe: {} }) as never
  const listed = new ListedRuns(repository, { old: [figures("b", 0, 2), figures("a", 0, 1)] })
  const snapshot = listed.store([run("new", 1, 9).run, run("old", 1, 3).run])
  await vi.waitFor(() => expect(uploads).toHaveLength(1))
  uploads[0]!.end()
  expect((await snapshot).runs.map(({ id }) => id)).toEqual(["new", "old"])
})

test("a merge of a run that is listed itself and of one known by its inputs lists both themselves", async () => {
  const { repository, uploads } = slowRepository()
  const figures = (id: string, level: number, number: number) =>
    ({ ...run(id, level, number).run.figures, recipe: {} }) as never
  const listed = new ListedRuns(repository, { older: [figures("b", 0, 2), figures("a", 0, 1)] })
  const [newer, older, output] = [run("newer", 1, 9), run("older", 1, 3), run("output", 2, 10)]
  listed.draftCount = 1
  expect(listed.merged([newer.run, older.run], output.run, true)).toBe(true)
  const snapshot = listed.store([output.run])
  await vi.waitFor(() => expect(uploads).toHaveLength(1))
  uploads[0]!.end()
  expect((await snapshot).runs.map(({ id }) => id)).toEqual(["newer", "older"])
})

test("a merged run of which the repository holds nothing is listed itself, and its inputs are let go", async () => {
  const { repository, uploads } = slowRepository()
  const listed = new ListedRuns(repository, {})
  const [a, b, m] = [run("a", 0, 1), run("b", 0, 2), run("m", 1, 3)]
  // A version has listed them.
  const version = listed.store([b.run, a.run])
  await vi.waitFor(() => expect(uploads).toHaveLength(1))
  uploads[0]!.end()
  await version
  const [c, d, n] = [run("c", 0, 4), run("d", 0, 5), run("n", 1, 6)]
  expect(listed.merged([b.run, a.run], m.run, true)).toBe(true)
  expect(listed.merged([d.run, c.run], n.run, false)).toBe(true)
  const [e, f, o] = [run("e", 0, 7), run("f", 0, 8), run("o", 1, 9)]
  expect(listed.merged([f.run, e.run], o.run, true)).toBe(false)
  expect([e.holds(), f.holds(), o.holds()]).toEqual([1, 1, 2])
})
