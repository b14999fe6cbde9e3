// How the append log gets to disk: at once, one file at a time, and as whole runs only.

import type { Engine } from "@varve/engines"
import { isEngineError } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, contents, openTiny, read, tinyEngine } from "./engine-fixture.ts"

const THRESHOLD = 8192
const noMerges = { threshold: THRESHOLD, compactionEnabled: false }

async function turnsUntil(isDone: () => Promise<boolean> | boolean): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (await isDone()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error("it does not come about")
}

async function fill(engine: Engine, from: number, to: number, valueBytes = 100): Promise<void> {
  for (let i = from; i < to; i++) await engine.set(bytes(`k${i}`), Buffer.alloc(valueBytes, `${i}`))
}

test("a write is in the file of the newest run as soon as the event loop has turned", async () => {
  const { engine, seams } = await tinyEngine("append-log")
  engine.set(bytes("first"), bytes("1"))
  engine.set(bytes("second"), bytes("2"))
  const inFile = async (): Promise<string> => {
    const name = (await seams.fileSystem.list("/partition")).find((each) => each.endsWith(".run.tmp"))
    if (name === undefined) return ""
    const file = (await seams.fileSystem.open(`/partition/${name}`, "read"))!
    const content = Buffer.alloc(await file.size())
    await file.read(content, 0)
    await file.close()
    return content.toString("latin1")
  }
  await turnsUntil(async () => (await inFile()).includes("second2"))
  expect(await inFile()).toContain("first1")
  expect(engine.statistics().flushCount).toBe(0)
  await engine.close()
})

test("an overwrite appends: the old record stays in the run and is not listed", async () => {
  const seams = simulatedSeams(1)
  const engine = await openTiny("append-log", seams, noMerges)
  engine.set(bytes("key"), bytes("old value"))
  engine.set(bytes("key"), bytes("new value"))
  await engine.snapshot({ version: 1 })
  const [run] = engine.runs()
  expect(run).toMatchObject({ recordCount: 1, recordsBytes: 2 * (3 + 3 + 9) })
  await engine.close()
})

test("a run ends at the threshold, and with the record that reaches it", async () => {
  const engine = await openTiny("append-log", simulatedSeams(1), noMerges)
  await fill(engine, 0, 300)
  await turnsUntil(() => engine.statistics().flushCount >= 3)
  for (const run of engine.runs()) {
    expect(run.recordsBytes).toBeGreaterThanOrEqual(THRESHOLD)
    expect(run.recordsBytes).toBeLessThan(THRESHOLD + 200)
  }
  await engine.close()
})

test("what is written right behind a seal is not in its version, and both lie in runs of their own", async () => {
  const seams = simulatedSeams(1)
  const engine = await openTiny("append-log", seams, noMerges)
  engine.set(bytes("a"), bytes("before"))
  const first = engine.snapshot({ version: 1 })
  engine.set(bytes("a"), bytes("between"))
  const second = engine.snapshot({ version: 2 })
  engine.set(bytes("a"), bytes("behind"))
  await Promise.all([first, second])
  expect(engine.runs().map(({ recordCount }) => recordCount)).toEqual([1, 1])
  expect(await read(engine, "a")).toBe("behind")
  await engine.restore({ version: 1 })
  expect(await read(engine, "a")).toBe("before")
  await engine.restore({ version: 2 })
  expect(await read(engine, "a")).toBe("between")
  await engine.close()
})

test("the file of an unfinished run is gone when the engine is opened after a kill", async () => {
  const { engine, seams } = await tinyEngine("append-log")
  engine.set(bytes("lost"), bytes("1"))
  const unfinished = async (): Promise<string[]> =>
    (await seams.fileSystem.list("/partition")).filter((name) => name.endsWith(".tmp"))
  await turnsUntil(async () => (await unfinished()).length > 0)
  const again = await openTiny("append-log", afterKill(seams))
  expect(await again.get(bytes("lost"))).toBeUndefined()
  await again.close()
})

test("an engine that cannot be closed for want of space leaves no unfinished file", async () => {
  const { engine, seams } = await tinyEngine("append-log")
  seams.fileSystem.setFreeBytes(500)
  engine.set(bytes("a"), Buffer.alloc(400))
  const unfinished = async (): Promise<string[]> =>
    (await seams.fileSystem.list("/partition")).filter((name) => name.endsWith(".tmp"))
  await turnsUntil(async () => (await unfinished()).length > 0)
  engine.set(bytes("b"), Buffer.alloc(400))
  await expect(engine.close()).rejects.toMatchObject({ reason: "STORAGE_FULL" })
  expect(await unfinished()).toEqual([])
})

test("a full disk refuses writes once memory is full, answers reads, and heals when space returns", async () => {
  const seams = simulatedSeams(1)
  const engine = await openTiny("append-log", seams, noMerges)
  await fill(engine, 0, 200)
  await engine.snapshot({ version: 1 })
  // Some more fits, so that the disk is full in the middle of a run.
  seams.fileSystem.setFreeBytes(3000)
  let refused: unknown
  let count = 200
  for (; refused === undefined; count++) {
    try {
      void engine.set(bytes(`k${count}`), Buffer.alloc(100, `${count}`))
    } catch (error) {
      if (isEngineError(error, "STORAGE_FULL")) refused = error
      // Refused for want of memory before the disk was asked: it is asked now.
      else if (isEngineError(error, "WRITES_STALLED")) await new Promise((resolve) => setImmediate(resolve))
      else throw error
      count--
    }
    if (count > 100_000) throw new Error("never refused")
  }
  expect(Buffer.from((await engine.get(bytes("k7")))!)).toEqual(Buffer.alloc(100, "7"))
  expect(Buffer.from((await engine.get(bytes(`k${count - 1}`)))!)).toEqual(Buffer.alloc(100, `${count - 1}`))
  await expect(engine.snapshot({ version: 2 })).rejects.toMatchObject({ reason: "STORAGE_FULL" })

  seams.fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
  await seams.clock.advance(1000)
  await turnsUntil(() => {
    try {
      void engine.set(bytes("healed"), bytes("yes"))
      return true
    } catch (error) {
      if (!isEngineError(error, "STORAGE_FULL") && !isEngineError(error, "WRITES_STALLED")) throw error
      return false
    }
  })
  await engine.snapshot({ version: 3 })
  const before = await contents(engine)
  expect(before.size).toBe(count + 1)
  await engine.restore({ version: 3 })
  expect(await contents(engine)).toEqual(before)
  await engine.close()
})

test("bytes that change in the unfinished file are found before the run is made of them", async () => {
  const seams = simulatedSeams(1)
  const engine = await openTiny("append-log", seams, noMerges)
  engine.set(bytes("key"), bytes("value"))
  const unfinished = async (): Promise<string | undefined> =>
    (await seams.fileSystem.list("/partition")).find((name) => name.endsWith(".tmp"))
  let path = ""
  await turnsUntil(async () => {
    const name = await unfinished()
    path = `/partition/${name}`
    const file = name === undefined ? undefined : await seams.fileSystem.open(path, "read")
    const size = (await file?.size()) ?? 0
    await file?.close()
    return size > 0
  })
  seams.fileSystem.flip(path, 8 * 7)
  await expect(engine.snapshot({ version: 1 })).rejects.toMatchObject({ reason: "DATA_LOSS" })
  expect(await read(engine, "key")).toBe("value")
  expect(() => engine.set(bytes("key"), bytes("more"))).toThrow("writes are refused")
  await engine.close()
})
