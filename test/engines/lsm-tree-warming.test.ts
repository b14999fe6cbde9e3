// Blocks of new runs in the cache: those that readers will ask for are there before they ask, and nothing else is.

import { setImmediate as nextTurn } from "node:timers/promises"
import { BlockCache, type Engine, openEngine } from "@varve/engines"
import { RUN_BLOCK_BYTES } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import { bytes } from "./engine-fixture.ts"

const KEYS = 1200
const MEMTABLE_BYTES = 32 * 1024

async function openCached(cacheBytes: number): Promise<{ engine: Engine; cache: BlockCache }> {
  const cache = new BlockCache(cacheBytes)
  const engine = await openEngine({
    engine: "lsm-tree",
    directory: "/partition",
    repository: "file:/repository",
    settings: { memtableBytesLimit: MEMTABLE_BYTES, densityFactor: 8, maxRunsPerLevel: 3 },
    blockCache: cache,
    seams: simulatedSeams(1),
  })
  return { engine, cache }
}

const valueFor = (i: number, round: number): string => `${i}/${round};`.padEnd(100, "x")

async function writeAll(engine: Engine, round: number): Promise<void> {
  for (let i = 0; i < KEYS; i++) await engine.set(bytes(`key ${i}`), bytes(valueFor(i, round)))
  await engine.snapshot({ version: round })
}

/** Blocks with records in all runs of the state. */
function blockCountOf(engine: Engine): number {
  return engine.runs().reduce((count, run) => count + Math.ceil(run.recordsBytes / RUN_BLOCK_BYTES), 0)
}

/** Resolves when flushes and merges are done and the cache holds all blocks: the test's time is the limit. */
async function allCached(engine: Engine, cache: BlockCache): Promise<void> {
  while (cache.statistics().bytesUsed !== blockCountOf(engine) * RUN_BLOCK_BYTES) await nextTurn()
}

test("lsm-tree: what was read at once is read at once after flushes and merges too", async () => {
  const { engine, cache } = await openCached(4 * 1024 * 1024)
  await writeAll(engine, 1)
  for (let i = 0; i < KEYS; i++) await engine.get(bytes(`key ${i}`))
  await allCached(engine, cache)
  const { diskReadCount, mergeCount } = engine.statistics()
  for (let round = 2; round <= 4; round++) {
    await writeAll(engine, round)
    await allCached(engine, cache)
    for (let i = 0; i < KEYS; i++) {
      const value = engine.get(bytes(`key ${i}`))
      if (!(value instanceof Uint8Array)) throw new Error(`round ${round}: key ${i} is not answered at once`)
      expect(Buffer.from(value).toString()).toBe(valueFor(i, round))
    }
  }
  expect(engine.statistics().mergeCount).toBeGreaterThan(mergeCount)
  expect(engine.statistics().diskReadCount).toBe(diskReadCount)
  expect(cache.statistics().evictionCount).toBe(0)
  await engine.close()
})

test("lsm-tree: nothing is read back of a state that nobody reads", async () => {
  const { engine, cache } = await openCached(4 * 1024 * 1024)
  for (let round = 1; round <= 3; round++) await writeAll(engine, round)
  expect(engine.statistics().mergeCount).toBeGreaterThan(0)
  await engine.close()
  expect(cache.statistics().bytesUsed).toBe(0)
})

test("lsm-tree: new blocks push out none that were read", async () => {
  const { engine, cache } = await openCached(8 * RUN_BLOCK_BYTES)
  await writeAll(engine, 1)
  for (let i = 0; i < KEYS; i++) await engine.get(bytes(`key ${i}`))
  expect(cache.spareBlocks).toBe(0)
  const { evictionCount } = cache.statistics()
  for (let round = 2; round <= 3; round++) await writeAll(engine, round)
  await engine.close()
  expect(cache.statistics().evictionCount).toBe(evictionCount)
})
