// Point reads of an LSM-tree whose blocks are cached: at once, also of records that lie across the borders of blocks.

import { expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, openTiny } from "./engine-fixture.ts"

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
