import { expect, test } from "vitest"
import { KeyHasher } from "../base/key-hash.ts"
import { encodeRecord } from "../base/record.ts"
import { BlockDirectory, tagOf } from "./block-directory.ts"

const SLOTS = 3

/** Records of `valueBytes`, one behind the other, and where each starts. */
function recordsOf(count: number, valueBytes: number): { bytes: Buffer; keys: Buffer[]; offsets: number[] } {
  const keys = Array.from({ length: count }, (_, i) => Buffer.from(`key ${i}`))
  const records = keys.map((key) => encodeRecord(key, new Uint8Array(valueBytes)))
  let at = 0
  const offsets = records.map((record) => {
    at += record.length
    return at - record.length
  })
  return { bytes: Buffer.concat(records), keys, offsets }
}

/** The offsets that the directory names for a key. */
function candidates(directory: BlockDirectory, slot: number, key: Buffer): number[] {
  const hasher = new KeyHasher(1)
  hasher.hash(key, 0, key.length)
  const found: number[] = []
  const tag = tagOf(hasher.h2)
  for (let i = directory.next(slot, tag, 0); i >= 0; i = directory.next(slot, tag, i + 1)) {
    found.push(directory.offset(slot, i))
  }
  return found
}

test("block directory: each record is among few candidates, from the offset on that was asked for", () => {
  const { bytes, keys, offsets } = recordsOf(64, 20)
  const directory = new BlockDirectory(SLOTS)
  // In the middle of a slab, without the first two records, and with an end in the middle of the last one.
  const slab = Buffer.concat([Buffer.alloc(100), bytes])
  directory.list(1, slab, 100, offsets[2]!, bytes.length - 1, new KeyHasher(1))
  expect(directory.lists(1, offsets[2]!)).toBe(true)
  expect(directory.lists(1, offsets[30]!)).toBe(true)
  expect(directory.lists(1, offsets[1]!)).toBe(false)
  let count = 0
  for (const [i, key] of keys.entries()) {
    const found = candidates(directory, 1, key)
    count += found.length
    expect(found.includes(offsets[i]!), `record ${i}`).toBe(i >= 2 && i < 63)
  }
  expect(count).toBeLessThan(2 * keys.length)
})

test("block directory: it asks for a list at the second search, and again for records before those listed", () => {
  const { bytes, offsets } = recordsOf(10, 20)
  const directory = new BlockDirectory(SLOTS)
  expect([directory.searched(0, offsets[5]!), directory.searched(0, offsets[5]!)]).toEqual([false, true])
  directory.list(0, bytes, 0, offsets[5]!, bytes.length, new KeyHasher(1))
  expect(directory.lists(0, offsets[5]!)).toBe(true)
  expect(directory.searched(0, offsets[4]!)).toBe(true)
  directory.forget(0)
  expect(directory.lists(0, offsets[9]!)).toBe(false)
  expect(directory.searched(0, offsets[9]!)).toBe(false)
})

test("block directory: records that there is no room for are not listed, and not asked for again", () => {
  const { bytes, offsets } = recordsOf(65, 3)
  const directory = new BlockDirectory(SLOTS)
  directory.searched(2, 0)
  directory.list(2, bytes, 0, 0, bytes.length, new KeyHasher(1))
  expect(directory.lists(2, 0)).toBe(false)
  expect(directory.searched(2, offsets[7]!)).toBe(false)
})
