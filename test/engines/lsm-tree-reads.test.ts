// Point reads of an LSM-tree whose blocks are cached: at once, also of records that lie across the borders of blocks.

import { READS_AT_ONCE_MAX } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, openTiny } from "./engine-fixture.ts"
import { GatedFileSystem } from "./gated-file-system.ts"

const CACHE_BYTES = 1024 * 1024
/** With a memtable that is never full, so that all records are in one run. */
const SETTINGS = { memtableBytesLimit: 256 * 1024, densityFactor: 8 }

test("lsm-tree: once its blocks are cached every key is answered without a promise, wherever its record lies", async () => {
  let seams = simulatedSeams(1)
  let engine = await openTiny("lsm-tree", seams, SETTINGS, CACHE_BYTES)
  const values = new Map<string, string>()
  for (let i = 0; i < 900; i++) values.set(`key:${i}`, `${i};`.repeat(1 + ((i * 37) % 60)))
  for (const [key, value] of values) await engine.set(bytes(key), bytes(value))
  await engine.set(bytes("key:5"), bytes(""))
  await engine.set(bytes("key:6"), bytes(""))
  values.delete("key:5")
  values.delete("key:6")
  await engine.snapshot({ version: 1 })
  await engine.close()
  seams = afterKill(seams)
  engine = await openTiny("lsm-tree", seams, SETTINGS, CACHE_BYTES)
  for (const key of values.keys()) await engine.get(bytes(key))
  const { diskReadCount } = engine.statistics()
  expect(diskReadCount).toBeGreaterThan(0)
  for (const [key, value] of values) {
    const found = engine.get(bytes(key))
    if (!(found instanceof Uint8Array)) throw new Error(`${key} is not answered at once`)
    expect(Buffer.from(found).toString()).toBe(value)
  }
  for (const key of ["key:5", "key:6", "key:5a", "key", "zzz"]) {
    expect(engine.get(bytes(key)), key).toBeUndefined()
  }
  const many = engine.getMany([...values.keys()].map(bytes))
  if (many instanceof Promise) throw new Error("many keys are not answered at once")
  expect(many.map((value) => Buffer.from(value!).toString())).toEqual([...values.values()])
  expect(engine.statistics().diskReadCount).toBe(diskReadCount)
  await engine.close()
})

test("lsm-tree: of many keys that are not cached each block is read once, in the order of the file", async () => {
  const seams = simulatedSeams(1)
  const fileSystem = new GatedFileSystem(seams.fileSystem)
  const engine = await openTiny("lsm-tree", { ...seams, fileSystem }, SETTINGS, CACHE_BYTES)
  const keys = Array.from({ length: 250 }, (_, i) => `key:${(i * 37) % 250}`)
  for (const key of keys) await engine.set(bytes(key), bytes(key.padEnd(400)))
  await engine.snapshot({ version: 1 })
  const offsets: number[] = []
  fileSystem.beforeRead = async (_path, _length, offset) => {
    offsets.push(offset)
  }
  const values = await engine.getMany(keys.map(bytes))
  expect(values.map((value) => Buffer.from(value!).toString().trimEnd())).toEqual(keys)
  expect(offsets.length).toBeGreaterThan(20)
  // Records across borders ask for their second block when they have the first.
  const inOrder = offsets.slice(0, READS_AT_ONCE_MAX)
  expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b))
  expect(new Set(offsets).size).toBe(offsets.length)
  await engine.close()
})

test("lsm-tree: many keys at once are answered as one by one, wherever their records are, cached or not", async () => {
  const seams = simulatedSeams(1)
  const settings = { memtableBytesLimit: 64 * 1024, densityFactor: 16, compactionEnabled: false }
  const engine = await openTiny("lsm-tree", seams, settings, CACHE_BYTES)
  const values = new Map<string, string>()
  const write = (round: number): Promise<void> | undefined => {
    const records: { key: Uint8Array; value: Uint8Array }[] = []
    for (let i = round; i < 700; i += 1 + round) {
      const value = (i + round) % 9 === 0 ? "" : `${i}/${round};`.repeat(1 + ((i * 37 + round) % 40))
      values.set(`key:${i}`, value)
      records.push({ key: bytes(`key:${i}`), value: bytes(value) })
    }
    return engine.write(records)
  }
  for (let round = 0; round < 2; round++) {
    await write(round)
    await engine.snapshot({ version: round + 1 })
  }
  expect(engine.runs().length).toBeGreaterThan(1)
  // In the turn of the first read these are in a memtable that is sealed, and in the next one.
  const written = [write(2), engine.snapshot({ version: 3 }), write(3)]
  const keys = [...values.keys(), "key:700", "key", "key:1", "key:1"]
  const expected = keys.map((key) => values.get(key) || undefined)
  const texts = (found: readonly (Uint8Array | undefined)[]): (string | undefined)[] =>
    found.map((value) => (value === undefined ? undefined : Buffer.from(value).toString()))
  const cold = engine.getMany(keys.map(bytes))
  expect(cold).toBeInstanceOf(Promise)
  expect(texts(await cold)).toEqual(expected)
  await Promise.all(written)
  // Once more for blocks that filters name by mistake, then with all blocks searched before.
  for (let pass = 0; pass < 3; pass++) expect(texts(await engine.getMany(keys.map(bytes)))).toEqual(expected)
  expect(engine.getMany(keys.map(bytes))).toBeInstanceOf(Array)
  for (const [i, key] of keys.entries()) expect(texts([await engine.get(bytes(key))])).toEqual([expected[i]])
  await engine.close()
})
