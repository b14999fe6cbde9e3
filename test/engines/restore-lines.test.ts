// Which versions follow which, after restores, restores taken back, and crashes in the middle of either; and that what
// fails in between leaves nothing behind.

import { engineNames, openEngine } from "@varve/engines"
import { isEngineError } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { afterKill, bytes, contents, openTiny, read, tinyEngine, tinySettings } from "./engine-fixture.ts"

test.each(engineNames)(
  "%s: an undone restore starts a timeline when its own went on meanwhile",
  async (name) => {
    const { engine } = await tinyEngine(name)
    for (const v of [1, 2, 3]) {
      await engine.set(bytes("a"), bytes(`${v}`))
      await engine.snapshot({ version: v })
    }
    const { replaced } = await engine.restore({ version: 1 })
    await engine.restore({ version: 3 })
    await engine.set(bytes("a"), bytes("4 of the other"))
    const other = await engine.snapshot({ version: 4 })
    await engine.restore({ replaced })
    await engine.set(bytes("a"), bytes("4 of mine"))
    const mine = await engine.snapshot({ version: 4 })
    expect(mine.timeline).not.toBe(other.timeline)
    expect(await read(engine, "a")).toBe("4 of mine")
  },
)

test.each(engineNames)(
  "%s: after an undone restore and a crash the state of the undone line comes up",
  async (name) => {
    const { engine, seams } = await tinyEngine(name)
    for (const v of [1, 2, 3]) {
      await engine.set(bytes("a"), bytes(`${v}`))
      await engine.snapshot({ version: v })
    }
    const { replaced } = await engine.restore({ version: 1 })
    await engine.restore({ version: 3 })
    await engine.set(bytes("a"), bytes("4 of the other"))
    await engine.snapshot({ version: 4 })
    await engine.restore({ replaced })
    const again = await openTiny(name, afterKill(seams, 2))
    expect(again.position.version).toBe(3)
  },
)

test.each(engineNames)("%s: newTimeline is honoured for a replaced state", async (name) => {
  const { engine } = await tinyEngine(name)
  await engine.snapshot({ version: 1 })
  const { replaced } = await engine.restore({ version: 1 })
  await engine.restore({ replaced, newTimeline: "000000000-0000000000000000" })
  expect((await engine.snapshot({ version: 2 })).timeline).toBe("000000000-0000000000000000")
})

test.each(engineNames)(
  "%s: a crash during the recovery from a crash does not forget a restore",
  async (name) => {
    const { engine, seams } = await tinyEngine(name)
    for (const v of [1, 2, 3]) {
      await engine.set(bytes("a"), bytes(`${v}`))
      await engine.snapshot({ version: v })
    }
    await engine.restore({ version: 2 })
    const second = afterKill(seams, 2)
    await openEngine({
      engine: name,
      directory: "/partition",
      repository: "file:/repository",
      restoreAfterCrash: false,
      settings: tinySettings[name],
      valueBytesMax: 2048,
      seams: second,
    })
    const third = await openTiny(name, afterKill(second, 3))
    expect(third.position.version).toBe(2)
  },
)

test.each(engineNames)("%s: a failed restore keeps every replaced state", async (name) => {
  const { engine, seams } = await tinyEngine(name)
  await engine.snapshot({ version: 1 })
  await engine.set(bytes("a"), bytes("mine"))
  const { replaced } = await engine.restore({ version: 1 })
  for (let i = 0; i < 2; i++) {
    await engine.set(bytes("b"), bytes(`${i}`))
    await engine.restore({ version: 1 })
  }
  await engine.set(bytes("b"), bytes("x"))
  const disk = seams.fileSystem
  disk.onCall = (words) => {
    if (/ rename .* to \/partition\/state$/.test(words)) disk.failNth("rename", 1)
  }
  await expect(engine.restore({ version: 1 })).rejects.toMatchObject({ reason: "STORAGE_FAILED" })
  disk.onCall = () => undefined
  await engine.restore({ replaced })
  expect(await read(engine, "a")).toBe("mine")
})

test.each(engineNames)("%s: a restore that failed is not there after a crash", async (name) => {
  for (let nth = 1; nth < 12; nth++) {
    const { engine, seams } = await tinyEngine(name)
    for (const v of [1, 2, 3]) {
      await engine.set(bytes("a"), bytes(`${v}`))
      await engine.snapshot({ version: v })
    }
    seams.fileSystem.failNth("syncDirectory", nth)
    const failed = await engine.restore({ version: 1 }).then(
      () => false,
      () => true,
    )
    if (!failed) break
    let acked = 3
    try {
      await engine.set(bytes("a"), bytes("4"))
      await engine.snapshot({ version: 4 })
      acked = 4
    } catch (error) {
      if (!isEngineError(error)) throw error
      acked = 3
    }
    const again = await openTiny(name, afterKill(seams, 2))
    expect([nth, again.position.version]).toEqual([nth, acked])
  }
})

test.each(engineNames)(
  "%s: writes made while a restore runs belong to the state that is replaced",
  async (name) => {
    const { engine } = await tinyEngine(name)
    await engine.set(bytes("a"), bytes("1"))
    await engine.snapshot({ version: 1 })
    let done = false
    const restoring = engine.restore({ version: 1 }).finally(() => {
      done = true
    })
    const written = new Map<string, string>()
    for (let i = 0; !done; i++) {
      let pending: Promise<void> | undefined
      const before = engine.lineage
      try {
        pending = engine.set(bytes(`k${i}`), bytes("v"))
      } catch (error) {
        if (!isEngineError(error, "WRITES_STALLED")) throw error
        await new Promise((r) => setImmediate(r))
        continue
      }
      if (engine.lineage === before) written.set(`k${i}`, "v")
      await pending
      await new Promise((r) => setImmediate(r))
    }
    const { replaced } = await restoring
    const kept = await contents(engine)
    await engine.restore({ replaced })
    const all = await contents(engine)
    const lost = [...written.keys()].filter((k) => !all.has(k) && !kept.has(k))
    expect([written.size, lost]).toEqual([written.size, []])
  },
)
