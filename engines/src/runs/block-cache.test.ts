import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { BLOCK_CACHE_BYTES_MAX, BlockCache } from "./block-cache.ts"
import { RUN_BLOCK_BYTES } from "./run-format.ts"

/** A block whose bytes say whose it is. */
function blockOf(owner: number, block: number): Buffer {
  const bytes = Buffer.alloc(RUN_BLOCK_BYTES, owner * 31 + block)
  bytes.writeUInt32LE(owner, 0)
  bytes.writeUInt32LE(block, RUN_BLOCK_BYTES - 4)
  return bytes
}

function insert(cache: BlockCache, owner: number, block: number): void {
  cache.insert(owner, block, blockOf(owner, block), 0, RUN_BLOCK_BYTES)
}

function holds(cache: BlockCache, owner: number, block: number): boolean {
  return cache.peek(owner, block) >= 0
}

/** xorshift32: the same numbers for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

describe("block cache", () => {
  test.each([1, 2, 7, 64])("random steps over %i blocks: what is found is what was inserted", (slots) => {
    const seed = 20_250_101 + slots
    const random = numbers(seed)
    const cache = new BlockCache(slots * RUN_BLOCK_BYTES)
    const inserted = new Set<string>()
    const counts = { hits: 0, misses: 0 }
    for (let step = 0; step < 20_000; step++) {
      const owner = 1 + random(5)
      const block = random(40)
      if (random(3) === 0) {
        insert(cache, owner, block)
        inserted.add(`${owner}/${block}`)
        expect(holds(cache, owner, block), `seed ${seed}, step ${step}`).toBe(true)
        continue
      }
      const at = cache.find(owner, block)
      if (at < 0) {
        counts.misses++
        continue
      }
      counts.hits++
      expect(inserted.has(`${owner}/${block}`), `seed ${seed}, step ${step}`).toBe(true)
      const found = cache.bytes.subarray(at, at + RUN_BLOCK_BYTES)
      expect(found.equals(blockOf(owner, block)), `seed ${seed}, step ${step}`).toBe(true)
    }
    const { hitCount, missCount, bytesUsed, bytesMax } = cache.statistics()
    expect({ hits: hitCount, misses: missCount }).toEqual(counts)
    expect(bytesUsed).toBe(bytesMax)
    let held = 0
    for (let owner = 1; owner <= 5; owner++) {
      for (let block = 0; block < 40; block++) if (holds(cache, owner, block)) held++
    }
    expect(held).toBe(slots)
  })

  test("a block that is read again outlives blocks that are read once", () => {
    const cache = new BlockCache(8 * RUN_BLOCK_BYTES)
    insert(cache, 1, 0)
    for (let block = 1; block < 1000; block++) {
      expect(cache.find(1, 0)).toBeGreaterThanOrEqual(0)
      insert(cache, 1, block)
    }
    expect(cache.statistics().evictionCount).toBe(1000 - 8)
  })

  test("everything fits while there is room: nothing is evicted", () => {
    const cache = new BlockCache(100 * RUN_BLOCK_BYTES)
    for (let block = 0; block < 100; block++) insert(cache, 1, block)
    for (let block = 0; block < 100; block++) expect(holds(cache, 1, block)).toBe(true)
    expect(cache.statistics().evictionCount).toBe(0)
  })

  test("a block that is inserted twice takes one place", () => {
    const cache = new BlockCache(4 * RUN_BLOCK_BYTES)
    insert(cache, 1, 0)
    insert(cache, 1, 0)
    expect(cache.statistics().bytesUsed).toBe(RUN_BLOCK_BYTES)
  })

  test("what an owner gives up makes room: until that is used nothing else goes, and nothing of it is found", () => {
    const slots = 9_000
    const cache = new BlockCache(slots * RUN_BLOCK_BYTES)
    for (let block = 0; block < slots; block++) insert(cache, 1 + (block % 4), block)
    expect(cache.spareBlocks).toBe(0)
    let steps = 0
    for (let from = 0; from >= 0; from = cache.forget(2, from)) steps++
    expect(steps).toBeGreaterThan(1)
    expect(cache.spareBlocks).toBe(slots / 4)
    expect(cache.statistics().bytesUsed).toBe((slots / 4) * 3 * RUN_BLOCK_BYTES)
    const heldOf = (owner: number): number =>
      Array.from({ length: slots }, (_, block) => block).filter((block) => holds(cache, owner, block)).length
    expect([1, 2, 3, 4].map(heldOf)).toEqual([slots / 4, 0, slots / 4, slots / 4])
    for (let block = 0; block < slots / 4; block++) insert(cache, 5, block)
    expect([cache.spareBlocks, cache.statistics().evictionCount]).toEqual([0, 0])
    expect([1, 2, 3, 4, 5].map(heldOf)).toEqual([slots / 4, 0, slots / 4, slots / 4, slots / 4])
    insert(cache, 5, slots)
    expect(cache.statistics().evictionCount).toBe(1)
  })

  test("owners are never the same", () => {
    const cache = new BlockCache(0)
    expect(cache.newOwner()).not.toBe(cache.newOwner())
  })

  test("numbers of blocks that differ by 2^32 are not mixed up", () => {
    const cache = new BlockCache(4 * RUN_BLOCK_BYTES)
    insert(cache, 1, 7)
    cache.insert(1, 2 ** 32 + 7, blockOf(1, 8), 0, RUN_BLOCK_BYTES)
    expect(cache.find(1, 2 ** 32 + 7)).toBe(-1)
  })

  test.each([0, RUN_BLOCK_BYTES - 1])("with a budget of %i bytes nothing is kept", (bytes) => {
    const cache = new BlockCache(bytes)
    insert(cache, 1, 0)
    expect(cache.find(1, 0)).toBe(-1)
    expect(cache.statistics().bytesUsed).toBe(0)
  })

  test.each([-1, 0.5, Number.NaN, BLOCK_CACHE_BYTES_MAX + 1])("a budget of %d bytes is refused", (bytes) => {
    expect(() => new BlockCache(bytes)).toThrow(
      expect.toSatisfy((error) => isEngineError(error, "SETTING_INVALID")),
    )
  })
})
