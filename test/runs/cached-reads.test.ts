// Point reads of runs through a cache of blocks: the same bytes with and without it, at once when it has them, and
// never those of another run, another block, or a damaged one.

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert"
import {
  BlockCache,
  isEngineError,
  OpenRun,
  RecordCursor,
  RUN_BLOCK_BYTES,
  RunFile,
} from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedFileSystem } from "../simulation/index.ts"
import { originOf, type TestRecord, writeRun } from "./fixture.ts"

const DIRECTORY = "/runs"

interface World {
  readonly disk: SimulatedFileSystem
  readonly cache: BlockCache
  readonly runs: readonly OpenRun[]
  /** Of each record of each run. */
  readonly offsets: readonly number[][]
}

/** Runs `1, 2, …` with these records, over one cache; closed at the end, with nothing left open. */
async function withRuns(
  records: readonly (readonly TestRecord[])[],
  cacheBytes: number,
  use: (world: World) => Promise<void>,
): Promise<void> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  await disk.makeDirectory(DIRECTORY)
  const cache = new BlockCache(cacheBytes)
  const closing: Promise<void>[] = []
  const runs: OpenRun[] = []
  const offsets: number[][] = []
  for (const [i, list] of records.entries()) {
    const path = `${DIRECTORY}/L0.${i + 1}.1.run`
    await writeRun(disk, path, originOf(i + 1), list)
    const file = await RunFile.open(disk, path)
    runs.push(new OpenRun(file, () => void closing.push(file.close()), cache))
    const found: number[] = []
    for await (const page of file.hashes()) {
      for (let record = 0; record < page.count; record++) found.push(page.offset[record]!)
    }
    offsets.push(found)
  }
  try {
    await use({ disk, cache, runs, offsets })
  } finally {
    for (const run of runs) run.release()
    await Promise.all(closing)
    strictEqual(disk.openPaths.length, 0)
  }
}

/** Records of 40 bytes to 70 KB whose values say which run they are of; every border between blocks is met. */
function recordsOf(run: number): TestRecord[] {
  const lengths = [4000, 4085, 4096, 9000, 40_000, 59_000, 70_000]
  return Array.from({ length: 600 }, (_, i) => ({
    key: `key-${run}-${i}`,
    value: `${run}/${i};`.repeat(5).padEnd(i % 50 === 7 ? lengths[(i - 7) / 50]! || 50 : 30 + (i % 97), "."),
  }))
}

function cachedText(run: OpenRun, offset: number): TestRecord | undefined {
  const cursor = new RecordCursor()
  const bytes = run.cachedRecord(offset, cursor)
  if (bytes === undefined) return undefined
  return {
    key: bytes.toString("latin1", cursor.keyStart, cursor.keyEnd),
    value: bytes.toString("latin1", cursor.valueStart, cursor.end),
  }
}

async function readText(run: OpenRun, offset: number): Promise<TestRecord> {
  const { bytes, cursor } = await run.read(offset)
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    key: source.toString("latin1", cursor.keyStart, cursor.keyEnd),
    value: source.toString("latin1", cursor.valueStart, cursor.end),
  }
}

test("cached reads: after one pass everything is served at once, records across blocks too", async () => {
  const records = [recordsOf(0), recordsOf(1)]
  await withRuns(records, 64 * 1024 * 1024, async ({ runs, offsets }) => {
    for (const [i, run] of runs.entries()) {
      for (const [record, offset] of offsets[i]!.entries()) {
        deepStrictEqual(await readText(run, offset), records[i]![record])
      }
    }
    let acrossBlocks = 0
    let uncached = 0
    for (const [i, run] of runs.entries()) {
      for (const [record, offset] of offsets[i]!.entries()) {
        const expected = records[i]![record]!
        const found = cachedText(run, offset)
        if (expected.value.length > 60_000) uncached++
        else deepStrictEqual(found, expected)
        if ((offset % RUN_BLOCK_BYTES) + expected.value.length > RUN_BLOCK_BYTES) acrossBlocks++
      }
    }
    ok(acrossBlocks >= 30, `${acrossBlocks} records lie across blocks`)
    strictEqual(uncached, 2)
  })
})

test.each([0, 1, 3, 16])(
  "cached reads: over %i blocks what is found is right, whatever is evicted",
  async (blocks) => {
    const records = [recordsOf(0), recordsOf(1), recordsOf(2)]
    await withRuns(records, blocks * RUN_BLOCK_BYTES, async ({ runs, offsets }) => {
      let state = 12_345 + blocks
      const random = (below: number): number => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
        return (state >>> 8) % below
      }
      const pending: Promise<void>[] = []
      for (let step = 0; step < 3000; step++) {
        const i = random(3)
        const record = random(records[i]!.length)
        const offset = offsets[i]![record]!
        const expected = records[i]![record]!
        const found = cachedText(runs[i]!, offset)
        if (found !== undefined) deepStrictEqual(found, expected)
        else {
          // Readers hold what they were given while others evict its blocks.
          pending.push(readText(runs[i]!, offset).then((text) => deepStrictEqual(text, expected)))
          if (pending.length === 20) await Promise.all(pending.splice(0))
        }
      }
      await Promise.all(pending)
    })
  },
)

test("cached reads: readers of one block share one read, and the next asks no disk", async () => {
  await withRuns([recordsOf(0)], 1024 * 1024, async ({ disk, runs, cache }) => {
    const run = runs[0]!
    strictEqual(run.cachedBlock(0), -1)
    const before = disk.steps
    const [a, b] = await Promise.all([run.block(0), run.block(0)])
    strictEqual(disk.steps - before, 1)
    deepStrictEqual(a, b)
    const at = run.cachedBlock(0)
    ok(at >= 0)
    deepStrictEqual(run.cachedBytes.subarray(at, at + RUN_BLOCK_BYTES), Buffer.from(a!))
    deepStrictEqual(cache.statistics(), {
      bytesUsed: RUN_BLOCK_BYTES,
      bytesMax: 1024 * 1024,
      hitCount: 1,
      missCount: 1,
      evictionCount: 0,
    })
  })
})

test("cached reads: a damaged block never enters the cache", async () => {
  await withRuns([recordsOf(0)], 1024 * 1024, async ({ disk, runs, cache, offsets }) => {
    const run = runs[0]!
    const damaged = disk.bytesOf(run.path)
    damaged[100]! ^= 1
    const file = await disk.open(run.path, "edit")
    await file!.write(damaged, 0)
    await file!.close()
    await rejects(run.read(offsets[0]![0]!), (error) => isEngineError(error, "DATA_LOSS"))
    strictEqual(cache.statistics().bytesUsed, 0)
    expect(cachedText(run, offsets[0]![0]!)).toBeUndefined()
  })
})

test("cached reads: scans pass the cache by", async () => {
  await withRuns([recordsOf(0)], 1024 * 1024, async ({ runs, cache }) => {
    for await (const page of runs[0]!.scan()) ok(page.to > page.from)
    strictEqual(cache.statistics().bytesUsed, 0)
  })
})

test("cached reads: a block that a read found in the cache is not kept beside it", async () => {
  const records = [recordsOf(0), recordsOf(1)]
  await withRuns(records, 3 * RUN_BLOCK_BYTES, async ({ disk, runs, offsets }) => {
    const [run, other] = [runs[0]!, runs[1]!]
    const [before, across] = [6, 7].map((record) => offsets[0]![record]!)
    strictEqual(Math.floor(before! / RUN_BLOCK_BYTES), Math.floor(across! / RUN_BLOCK_BYTES))
    // The first block of the record is cached, the second is not.
    await readText(run, before!)
    deepStrictEqual(await readText(run, across!), records[0]![7])
    for (const offset of offsets[1]!) await readText(other, offset)
    const { steps } = disk
    await readText(run, before!)
    strictEqual(disk.steps, steps + 1)
  })
})
