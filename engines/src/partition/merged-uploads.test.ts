// Which merged runs go up, in which order, and which do not. Runs and listing are stand-ins that the test moves.

import { expect, test, vi } from "vitest"
import type { OpenRun, RunSet } from "../runs/run-set.ts"
import type { MergeUpload } from "../snapshots/run-storage.ts"
import type { ListedRuns } from "./listed-runs.ts"
import { INPUTS_LISTED_MAX, MergedUploads } from "./merged-uploads.ts"

interface TestUpload {
  readonly run: OpenRun
  readonly upload: MergeUpload
  readonly end: (isStored: boolean) => void
  readonly fail: () => void
}

class World {
  state: OpenRun[] = []
  inputsListed = 0
  readonly uploads: TestUpload[] = []
  readonly warnings: string[] = []
  readonly #stored = new Set<OpenRun>()

  uploadsOf(...state: OpenRun[]): MergedUploads {
    this.state = state
    const runs = Object.defineProperty({}, "newestFirst", { get: () => this.state })
    const listed = {
      merged: () => true,
      countOf: () => this.inputsListed,
      isListedByInputs: (run: OpenRun) => !this.#stored.has(run),
      storeMerged: (run: OpenRun, upload: MergeUpload) =>
        new Promise<boolean>((resolve, reject) => {
          const end = (isStored: boolean): void => {
            if (isStored) this.#stored.add(run)
            resolve(isStored)
          }
          const fail = (): void => reject(new Error("no answer"))
          upload.stop.addEventListener("abort", fail)
          this.uploads.push({ run, upload, end, fail })
        }),
    }
    return new MergedUploads({
      runs: runs as unknown as RunSet,
      listed: listed as unknown as ListedRuns,
      warn: (message) => this.warnings.push(message),
    })
  }

  async begun(count: number): Promise<TestUpload> {
    await vi.waitFor(() => expect(this.uploads).toHaveLength(count))
    return this.uploads[count - 1]!
  }
}

function run(bytes: number, level = 1, number = 1): OpenRun & { readonly holds: () => number } {
  let holds = 1
  return {
    figures: { bytes, level, run: number },
    retain: () => void holds++,
    release: () => void holds--,
    holds: () => holds,
  } as unknown as OpenRun & { readonly holds: () => number }
}

test("one goes up after the other, the oldest first, and each is let go", async () => {
  const world = new World()
  const [old, newer] = [run(10), run(5)]
  const uploads = world.uploadsOf(newer, old)
  expect([uploads.bytesWaiting, uploads.bytesStored]).toEqual([15, 0])
  const first = await world.begun(1)
  expect(first.run).toBe(old)
  first.upload.onStored(7)
  first.upload.onStored(4)
  first.end(true)
  expect((await world.begun(2)).run).toBe(newer)
  expect([uploads.bytesWaiting, uploads.bytesStored, old.holds()]).toEqual([5, 11, 1])
  await uploads.close()
  expect([newer.holds(), world.warnings]).toEqual([1, []])
})

test("one that is merged again is given up, on its way or not", async () => {
  const world = new World()
  const [a, b, c, d] = [run(1), run(1), run(1), run(4)]
  const uploads = world.uploadsOf(c, b, a)
  const { upload } = await world.begun(1)
  world.state = [c, d]
  uploads.merged([b, a], d)
  expect(upload.stop.aborted).toBe(true)
  expect([a.holds(), b.holds(), uploads.bytesWaiting]).toEqual([1, 1, 5])
  expect((await world.begun(2)).run).toBe(c)
  world.uploads[1]!.end(true)
  expect((await world.begun(3)).run).toBe(d)
  expect(world.warnings).toEqual([])
  await uploads.close()
})

test("an older one goes first, also when a newer one is on its way", async () => {
  const world = new World()
  const [newer, older] = [run(1, 1, 8), run(1, 2, 9)]
  const uploads = world.uploadsOf(newer)
  const { upload } = await world.begun(1)
  world.state = [newer, older]
  uploads.merged([], older)
  expect(upload.stop.aborted).toBe(true)
  expect((await world.begun(2)).run).toBe(older)
  world.uploads[1]!.end(true)
  expect((await world.begun(3)).run).toBe(newer)
  world.uploads[2]!.end(true)
  await vi.waitFor(() => expect(uploads.bytesWaiting).toBe(0))
  expect([newer.holds(), older.holds(), world.warnings]).toEqual([1, 1, []])
})

test("what fails, or was collected meanwhile, is tried again when something happens", async () => {
  const world = new World()
  const uploads = world.uploadsOf(run(1))
  world.uploads[0]!.fail()
  await vi.waitFor(() => expect(world.warnings).toEqual(["a merged run could not be uploaded"]))
  await vi.waitFor(() => {
    uploads.goOn()
    expect(world.uploads).toHaveLength(2)
  })
  world.uploads[1]!.end(false)
  await vi.waitFor(() => {
    uploads.goOn()
    expect(world.uploads).toHaveLength(3)
  })
  expect(uploads.bytesWaiting).toBe(1)
  await uploads.close()
})

test("too many listed inputs end the waiting for the budget", async () => {
  const world = new World()
  const [a, b, c] = [run(1), run(1), run(1)]
  const uploads = world.uploadsOf(a)
  const { upload } = await world.begun(1)
  world.inputsListed = INPUTS_LISTED_MAX
  uploads.merged([], b)
  expect(upload.hurry.aborted).toBe(false)
  world.inputsListed++
  uploads.merged([], c)
  expect([upload.hurry.aborted, upload.stop.aborted]).toEqual([true, false])
  world.uploads[0]!.end(true)
  expect((await world.begun(2)).upload.hurry.aborted).toBe(true)
  world.inputsListed = 3
  world.uploads[1]!.end(true)
  expect((await world.begun(3)).upload.hurry.aborted).toBe(false)
  await uploads.close()
})

test("one that is merged in the very moment in which the last upload ends goes up too", async () => {
  for (let turns = 0; turns < 8; turns++) {
    const world = new World()
    const [a, b] = [run(1, 1, 1), run(1, 1, 2)]
    const uploads = world.uploadsOf(a)
    const first = await world.begun(1)
    first.end(true)
    for (let i = 0; i < turns; i++) await undefined
    world.state = [b, a]
    uploads.merged([], b)
    expect((await world.begun(2)).run, `${turns} turns`).toBe(b)
    await uploads.close()
  }
})
