// Runs read where they are stored, chunk by chunk: every byte is the run's, nothing is asked for twice, and what is
// damaged is refused by name, alone.

import {
  DirectoryObjectStore,
  type ObjectStore,
  Repository,
  RUN_BLOCK_BYTES,
  type RunFile,
  type StoredRun,
} from "@varve/engines/internal"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { makeRun, type RunOptions } from "./make-run.ts"

/** An object store that notes what is asked of packs. */
class WatchedStore implements ObjectStore {
  readonly #inner: ObjectStore
  readonly ranges: { key: string; offset: number; bytes: number }[] = []
  atOnceMax = 0
  #atOnce = 0

  constructor(inner: ObjectStore) {
    this.#inner = inner
  }

  get url(): string {
    return this.#inner.url
  }

  async get(key: string, range?: { offset: number; bytes: number }): Promise<Uint8Array | undefined> {
    if (key.startsWith("packs/")) this.ranges.push({ key, offset: 0, bytes: 0, ...range })
    this.#atOnce++
    this.atOnceMax = Math.max(this.atOnceMax, this.#atOnce)
    try {
      return await this.#inner.get(key, range)
    } finally {
      this.#atOnce--
    }
  }

  create(key: string, parts: readonly Uint8Array[]): Promise<boolean> {
    return this.#inner.create(key, parts)
  }

  list(prefix: string): ReturnType<ObjectStore["list"]> {
    return this.#inner.list(prefix)
  }

  remove(key: string): Promise<void> {
    return this.#inner.remove(key)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

interface House {
  readonly seams: SimulatedSeams
  readonly store: WatchedStore
  readonly repository: Repository
}

async function open(chunkCacheBytes?: number): Promise<House> {
  const seams = simulatedSeams(1)
  await seams.fileSystem.makeDirectory("/runs")
  const store = new WatchedStore(await DirectoryObjectStore.open(seams.fileSystem, "/repository"))
  const options = chunkCacheBytes === undefined ? {} : { chunkCacheBytes }
  return { seams, store, repository: await Repository.open(store, seams, options) }
}

async function storeRuns({ seams, repository }: House, runs: readonly RunOptions[]): Promise<StoredRun[]> {
  const stored: StoredRun[] = []
  for (const [i, options] of runs.entries()) {
    const path = pathOf(i)
    const figures = await makeRun(seams.fileSystem, path, { run: i + 1, ...options })
    stored.push(...(await repository.storeRuns([{ figures, path }])).runs)
  }
  return stored
}

function pathOf(index: number): string {
  return `/runs/${index}.run`
}

/** Blocks `[first, first + count)`, as far as there are so many, compared with the run's file. */
async function expectBlocks(run: RunFile, file: Uint8Array, first: number, count: number): Promise<void> {
  const blocks = Math.min(count, Math.ceil(run.blocksEnd / RUN_BLOCK_BYTES) - first)
  if (blocks <= 0) return
  const target = new Uint8Array(blocks * RUN_BLOCK_BYTES)
  const read = await run.readBlocks(first, blocks, target)
  const start = first * RUN_BLOCK_BYTES
  expect(Buffer.compare(target.subarray(0, read), file.subarray(start, start + read))).toBe(0)
}

describe("stored runs", () => {
  test("any blocks of any run are those of its file, also when several are read at the same time", async () => {
    const runOptions = fc.record({
      recordCount: fc.integer({ min: 0, max: 400 }),
      seed: fc.integer({ min: 1, max: 3 }),
      valueBytes: fc.constantFrom(0, 100, 900, 70_000).filter((bytes) => bytes > 0),
    })
    const property = fc.asyncProperty(
      fc.array(runOptions, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(2), fc.nat(200), fc.integer({ min: 1, max: 80 })), { maxLength: 12 }),
      fc.constantFrom(0, 100_000, undefined),
      async (options, reads, chunkCacheBytes) => {
        const house = await open(chunkCacheBytes)
        const small = options.map((each) =>
          each.valueBytes > 10_000 ? { ...each, recordCount: each.recordCount % 12 } : each,
        )
        const stored = await storeRuns(house, small)
        const runs = await Promise.all(stored.map((run) => house.repository.storedRuns.open(run)))
        expect(runs.map(({ figures }) => figures)).toMatchObject(
          stored.map(({ id, recordCount }) => ({ id, recordCount })),
        )
        await Promise.all(
          reads.map(([which, first, count]) => {
            const index = which % runs.length
            return expectBlocks(
              runs[index]!,
              house.seams.fileSystem.bytesOf(pathOf(index)),
              first % Math.max(1, Math.ceil(runs[index]!.blocksEnd / RUN_BLOCK_BYTES)),
              count,
            )
          }),
        )
        for (const run of runs) await run.close()
        expect(house.seams.fileSystem.openPaths).toEqual([])
        expect(house.store.atOnceMax).toBeLessThanOrEqual(16)
      },
    )
    await fc.assert(property, { numRuns: 40 })
  })

  test("readers of one chunk share one request, neighbours of one pack travel together, and the cache answers", async () => {
    const house = await open()
    const [stored] = await storeRuns(house, [{ recordCount: 600, seed: 1, valueBytes: 900 }])
    const run = await house.repository.storedRuns.open(stored!)
    const file = house.seams.fileSystem.bytesOf(pathOf(0))
    house.store.ranges.length = 0
    await Promise.all(Array.from({ length: 20 }, () => expectBlocks(run, file, 3, 1)))
    expect(house.store.ranges).toHaveLength(1)
    await expectBlocks(run, file, 3, 1)
    expect(house.store.ranges).toHaveLength(1)
    await expectBlocks(run, file, 10, 100)
    // 400 KiB of some 25 chunks, side by side in their pack.
    expect(house.store.ranges).toHaveLength(2)
    const asked = house.store.ranges.map(({ offset, bytes }) => [offset, offset + bytes] as const)
    expect(asked[1]![0] >= asked[0]![1] || asked[1]![1] <= asked[0]![0]).toBe(true)
  })

  test("what is kept in memory stays within the budget", async () => {
    const house = await open(100_000)
    const [stored] = await storeRuns(house, [{ recordCount: 900, seed: 1, valueBytes: 900 }])
    const run = await house.repository.storedRuns.open(stored!)
    const file = house.seams.fileSystem.bytesOf(pathOf(0))
    for (let first = 0; first < run.blocksEnd / RUN_BLOCK_BYTES; first += 7) {
      await expectBlocks(run, file, first, 7)
      expect(house.repository.storedRuns.cachedBytes).toBeLessThanOrEqual(100_000)
    }
    expect(house.repository.storedRuns.cachedBytes).toBeGreaterThan(50_000)
  })

  test("a damaged chunk is refused, with its pack and its hash; other chunks of the same request are right", async () => {
    const house = await open(0)
    const [stored] = await storeRuns(house, [{ recordCount: 600, seed: 1, valueBytes: 900 }])
    const run = await house.repository.storedRuns.open(stored!)
    const file = house.seams.fileSystem.bytesOf(pathOf(0))
    const [pack] = (await house.store.list("packs/")).map(({ key }) => key)
    house.seams.fileSystem.flip(`/repository/${pack}`, 8 * 200_000)
    const message = await expectReason(
      run.readBlocks(0, 100, new Uint8Array(100 * RUN_BLOCK_BYTES)),
      "DATA_LOSS",
    )
    expect(message).toMatch(
      new RegExp(`^${pack} is damaged: the chunk at byte \\d+ does not have the hash [0-9a-f]{64}$`),
    )
    const damagedBlock = Math.floor(200_000 / RUN_BLOCK_BYTES)
    await expectReason(run.readBlocks(damagedBlock, 1, new Uint8Array(RUN_BLOCK_BYTES)), "DATA_LOSS")
    await expectBlocks(run, file, 0, damagedBlock - 20)
    await expectBlocks(run, file, damagedBlock + 20, 10)
  })

  test.each([
    ["is missing", async ({ store }: House, pack: string) => store.remove(pack)],
    [
      "is too short",
      async ({ seams }: House, pack: string) => seams.fileSystem.truncate(`/repository/${pack}`, 150_000),
    ],
  ] as const)("a pack that %s is found when the run is opened", async (_, damage) => {
    const house = await open()
    const runs = await storeRuns(house, [
      { recordCount: 300, seed: 1, valueBytes: 900 },
      { recordCount: 300, seed: 1, valueBytes: 900, changed: { from: 290, to: 291 } },
    ])
    // The second run's recipe and its changed chunk are in the second pack, which is short; all else in the first.
    const packs = await house.store.list("packs/")
    const [{ key: first } = { key: "" }] = packs.sort((a, b) => b.bytes - a.bytes)
    await damage(house, first)
    expect(await expectReason(house.repository.storedRuns.open(runs[1]!), "DATA_LOSS")).toContain(first)
    expect(house.seams.fileSystem.openPaths).toEqual([])
  })
})
