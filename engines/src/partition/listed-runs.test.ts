// Manifests list what is stored, newest first, and never a file that went away.

import { expect, test, vi } from "vitest"
import type { OpenRun } from "../runs/run-set.ts"
import type { EndangeredRuns } from "../snapshots/condemned-packs.ts"
import type { Repository } from "../snapshots/repository.ts"
import { ListedRuns } from "./listed-runs.ts"

interface TestRun {
  readonly run: OpenRun
  readonly holds: () => number
  readonly bytes: (bytes: number) => void
}

function run(id: string, level: number, number: number): TestRun {
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
  const bytes = (length: number): void => {
    figures.bytes = length
  }
  return { run: open as unknown as OpenRun, holds: () => holds, bytes }
}

const noBudget = {
  stop: new AbortController().signal,
  hurry: new AbortController().signal,
  onStored: () => undefined,
}

/** A repository whose uploads end when the test says so. */
function slowRepository(): { repository: Repository; uploads: { ids: string[]; end: () => void }[] } {
  const uploads: { ids: string[]; end: () => void }[] = []
  const upload = (runs: readonly { figures: { id: string } }[]): Promise<unknown> =>
    new Promise((resolve) => {
      const stored = runs.map(({ figures }) => ({ ...figures, recipe: {} }))
      uploads.push({
        ids: runs.map(({ figures }) => figures.id),
        end: () => resolve({ runs: stored, bytesReused: 0 }),
      })
    })
  const storeRuns = upload
  const storeMergedRun = async (run: { figures: { id: string } }): Promise<unknown> =>
    ((await upload([run])) as { runs: unknown[] }).runs[0]
  const endangered = async (): Promise<EndangeredRuns> => ({ going: new Set(), damaged: new Set() })
  const repository = { storeRuns, storeMergedRun, endangered, deduplication: true }
  return { repository: repository as unknown as Repository, uploads }
}

test("files that a snapshot uploads stay, though the run that replaces them is stored first", async () => {
  const { repository, uploads } = slowRepository()
  const listed = new ListedRuns(repository, {})
  const [a, b, m] = [run("a", 0, 1), run("b", 0, 2), run("m", 1, 3)]
  listed.draftCount = 1
  listed.merged([b.run, a.run], m.run, [m.run])
  // A snapshot that was made before the merge ends.
  listed.keepOnly([m.run])
  a.run.release()
  b.run.release()
  const upload = listed.storeMerged(m.run, noBudget)
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
  expect(listed.merged([newer.run, older.run], output.run, [output.run])).toBe(true)
  const snapshot = listed.store([output.run])
  await vi.waitFor(() => expect(uploads).toHaveLength(1))
  uploads[0]!.end()
  expect((await snapshot).runs.map(({ id }) => id)).toEqual(["newer", "older"])
})

/** A state whose runs `a` and `b`, of a byte each, a version has listed. */
async function withTwoStored(): Promise<{
  listed: ListedRuns
  stored: [OpenRun, OpenRun]
  uploads: ReturnType<typeof slowRepository>["uploads"]
  repository: Repository
}> {
  const { repository, uploads } = slowRepository()
  const listed = new ListedRuns(repository, {})
  const stored: [OpenRun, OpenRun] = [run("a", 0, 1).run, run("b", 0, 2).run]
  const version = listed.store([stored[1], stored[0]])
  await vi.waitFor(() => expect(uploads).toHaveLength(1))
  uploads[0]!.end()
  await version
  return { listed, stored, uploads, repository }
}

test("a merged run of which the repository holds nothing is listed itself, and its inputs are let go", async () => {
  const { listed, stored } = await withTwoStored()
  const [c, d, n] = [run("c", 0, 4), run("d", 0, 5), run("n", 1, 6)]
  expect(listed.merged([d.run, c.run], n.run, [n.run, stored[1], stored[0]])).toBe(false)
  expect([c.holds(), d.holds(), n.holds()]).toEqual([1, 1, 2])
})

test("not above an older one that is known by its inputs, unless all is shorter than what is held", async () => {
  const { listed, stored } = await withTwoStored()
  const [m, c, d, n] = [run("m", 1, 3), run("c", 0, 4), run("d", 0, 5), run("n", 1, 6)]
  expect(listed.merged([stored[1], stored[0]], m.run, [m.run])).toBe(true)
  // Themselves: 2 of m and n. By their inputs: 2 of c and d would be as much, but for what m was made of.
  m.bytes(2)
  expect(listed.merged([d.run, c.run], n.run, [n.run, m.run])).toBe(true)
  expect([c.holds(), d.holds(), n.holds(), m.holds()]).toEqual([2, 2, 1, 1])
  const [e, f, o] = [run("e", 0, 7), run("f", 0, 8), run("o", 1, 9)]
  expect(listed.merged([f.run, e.run], o.run, [o.run, n.run, m.run])).toBe(false)
  expect([c, d, e, f].map((each) => each.holds())).toEqual([1, 1, 1, 1])
  expect([o, n, m].map((each) => each.holds())).toEqual([2, 2, 2])
})

test("files of inputs are held no longer than any run of the state needs them, versions or none", async () => {
  const { listed, stored, uploads } = await withTwoStored()
  const [c, m] = [run("c", 0, 3), run("m", 1, 4)]
  m.bytes(9)
  expect(listed.merged([c.run, stored[1], stored[0]], m.run, [m.run])).toBe(true)
  expect(c.holds()).toBe(2)
  const upload = listed.storeMerged(m.run, noBudget)
  await vi.waitFor(() => expect(uploads).toHaveLength(2))
  expect(listed.isListedByInputs(m.run)).toBe(true)
  uploads[1]!.end()
  expect(await upload).toBe(true)
  expect(listed.isListedByInputs(m.run)).toBe(false)
  expect(c.holds()).toBe(1)
})

test("a merged run that is told to stop while its packs are looked for is not listed itself", async () => {
  const { listed, stored, uploads, repository } = await withTwoStored()
  const m = run("m", 1, 3)
  m.bytes(9)
  expect(listed.merged([stored[1], stored[0]], m.run, [m.run])).toBe(true)
  const stopping = new AbortController()
  repository.endangered = async () => {
    stopping.abort()
    return { going: new Set(), damaged: new Set() }
  }
  const upload = listed.storeMerged(m.run, { ...noBudget, stop: stopping.signal })
  await vi.waitFor(() => expect(uploads).toHaveLength(2))
  uploads[1]!.end()
  await expect(upload).rejects.toThrow("abort")
  expect(listed.isListedByInputs(m.run)).toBe(true)
})

test("without deduplication a run that is not here yet is not listed by packs that garbage collection is about to remove", async () => {
  const { repository, uploads } = slowRepository()
  Object.assign(repository, { deduplication: false })
  repository.endangered = async (runs) => ({ going: new Set(runs.map(({ id }) => id)), damaged: new Set() })
  const { run: arriving } = run("arriving", 0, 1)
  const figures = { ...arriving.figures, recipe: {} } as never
  const listed = new ListedRuns(repository, { arriving: [figures] })
  const snapshot = listed.store([arriving])
  await vi.waitFor(() => expect(uploads).toHaveLength(1))
  expect(uploads[0]!.ids).toEqual(["arriving"])
  uploads[0]!.end()
  await snapshot
})

test("what a version has in common with those before it counts as reused, in whole runs", async () => {
  const { listed, stored, uploads } = await withTwoStored()
  const [m, c] = [run("m", 1, 3), run("c", 0, 4)]
  c.bytes(100)
  const first = listed.store([c.run, stored[1], stored[0]])
  await vi.waitFor(() => expect(uploads).toHaveLength(2))
  uploads[1]!.end()
  expect((await first).bytesReused).toBe(2)
  // Of a merged run it is what is listed in its place.
  m.bytes(70)
  expect(listed.merged([stored[1], stored[0]], m.run, [c.run, m.run])).toBe(true)
  const second = listed.store([c.run, m.run])
  await vi.waitFor(() => expect(uploads).toHaveLength(3))
  uploads[2]!.end()
  expect(await second).toMatchObject({ bytesReused: 102, runs: [{ id: "c" }, { id: "b" }, { id: "a" }] })
})
