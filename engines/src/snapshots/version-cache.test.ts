// The cache of summaries: right or empty, and never above its limit.

import { describe, expect, test } from "vitest"
import type { VersionSummary } from "./manifest.ts"
import { VersionCache } from "./version-cache.ts"

function summary(version: number, metadataBytes = 0): VersionSummary {
  return {
    version,
    timeline: "a",
    epoch: 1,
    parent: null,
    line: [{ timeline: "a", version }],
    createdMs: version,
    engine: "memory",
    partitionCount: 1,
    recordCount: 0,
    bytes: 0,
    bytesNew: 0,
    metadata: new Uint8Array(metadataBytes),
    pinned: false,
    pinNames: [],
  }
}

function object(version: number) {
  return { key: `v${version}`, bytes: 10, modifiedMs: 20 }
}

describe("version cache", () => {
  test("answers what was put in, until the object is another", () => {
    const cache = new VersionCache()
    cache.set(object(1), summary(1))
    expect(cache.get(object(1))).toEqual(summary(1))
    expect(cache.get(object(2))).toBeUndefined()
    expect(cache.get({ ...object(1), modifiedMs: 21 })).toBeUndefined()
    cache.set(object(1), summary(1))
    expect(cache.get({ ...object(1), bytes: 11 })).toBeUndefined()
    expect(cache.get(object(1))).toBeUndefined()
  })

  test("forgets what was used least recently when metadata fills it", () => {
    const cache = new VersionCache(100_000)
    for (let i = 1; i <= 9; i++) cache.set(object(i), summary(i, 10_000))
    expect(cache.get(object(1))).toBeDefined()
    cache.set(object(10), summary(10, 10_000))
    expect(cache.bytes).toBeLessThanOrEqual(100_000)
    expect(cache.get(object(1))).toBeDefined()
    expect(cache.get(object(2))).toBeUndefined()
    expect(cache.get(object(10))).toBeDefined()
  })

  test("counts a summary that is put in twice once", () => {
    const cache = new VersionCache()
    cache.set(object(1), summary(1, 500))
    const { bytes } = cache
    cache.set(object(1), summary(1, 500))
    expect(cache.bytes).toBe(bytes)
  })
})
