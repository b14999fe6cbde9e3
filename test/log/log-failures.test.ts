// The log on a disk that fails or is full: what is acknowledged, what a later opening finds, and how it goes on.

import {
  EngineError,
  type FileSystem,
  isEngineError,
  Log,
  SECTOR_BYTES,
  SyncedFile,
} from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedClock, SimulatedFileSystem, untilCrash } from "../simulation/index.ts"
import { append, entriesOf, options, preparedIn, reasonOf, reopened, SEGMENT } from "./log-fixture.ts"

test("a failed sync ends the log: nothing is acknowledged any more, and it is not tried again", async () => {
  const disk = new SimulatedFileSystem({ seed: 5 })
  const failures: unknown[] = []
  const log = await Log.create(options(disk, { failures }))
  await append(log, "kept")
  await preparedIn(disk, 2)
  disk.failNth("sync", 1)
  expect(await reasonOf(append(log, "lost"))).toBe("ENGINE_POISONED")
  const { steps } = disk
  expect(() => log.append(Buffer.from("refused"))).toThrow(/takes no more/)
  expect(disk.steps).toBe(steps)
  expect(failures).toHaveLength(1)
  await log.close()
})

test("a write that failed in the middle of a sector is not taken for damage after a kill", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const disk = new SimulatedFileSystem({ seed })
    const log = await Log.create(options(disk))
    await append(log, "synced")
    disk.failNth("write", 1)
    const entry = "not acknowledged ".repeat(200)
    log.append(Buffer.from(entry))
    await expect(log.synced(1)).rejects.toThrow()
    await log.close()
    const after = disk.restartProcess()
    const found = await Log.open(options(after), 0)
    const entries = await entriesOf(found)
    expect([["synced"], ["synced", entry]], `seed ${seed}`).toContainEqual(entries)
    await append(found, "goes on")
    await found.close()
    const again = await Log.open(options(after.restart(seed)), 0, entries.length + 1)
    expect(await entriesOf(again), `seed ${seed}`).toEqual([...entries, "goes on"])
    await again.close()
  }
})

test("what a kill, or a sync that failed, has left is durable once the log is opened", async () => {
  for (const ending of ["kill", "failed sync"] as const) {
    for (let seed = 1; seed <= 20; seed++) {
      const disk = new SimulatedFileSystem({ seed })
      const log = await Log.create(options(disk))
      await append(log, "synced")
      if (ending === "failed sync") disk.failNth("sync", 1)
      else disk.onCall = (words) => words.includes("sync /log") && disk.crashAt(disk.steps)
      log.append(Buffer.from("not synced ".repeat(200)))
      await expect(log.synced(1)).rejects.toThrow()
      await untilCrash(log.close())
      const after = disk.restartProcess(seed)
      const found = await Log.open(options(after), 0)
      const entries = await entriesOf(found)
      expect(entries).toHaveLength(2)
      // Into the next segment: its sync does nothing for the one before.
      await append(found, "x".repeat(4000))
      expect(await entriesOf(await Log.open(options(after.restart(seed)), 0))).toEqual([
        ...entries,
        "x".repeat(4000),
      ])
    }
  }
})

test("a full disk is met before anything is taken, and the log goes on by itself when there is space", async () => {
  const disk = new SimulatedFileSystem({ seed: 6 })
  const clock = new SimulatedClock()
  const log = await Log.create(options(disk, { clock }))
  await preparedIn(disk, 2)
  disk.setFreeBytes(0)
  const entry = Buffer.alloc(400, "x")
  let count = 0
  let refused: unknown
  while (refused === undefined) {
    try {
      await log.synced(log.append(entry))
      count++
    } catch (error) {
      refused = error
    }
  }
  // Two segments of seven sectors: all of the room that was there.
  expect(isEngineError(refused, "STORAGE_FULL"), String(refused)).toBe(true)
  expect(count).toBeGreaterThanOrEqual(12)
  expect(await entriesOf(log)).toHaveLength(count)
  disk.setFreeBytes(Number.POSITIVE_INFINITY)
  await expect.poll(() => clock.sleeperCount).toBe(1)
  await clock.advance(1000)
  await expect.poll(() => reasonOf(Promise.resolve().then(() => log.admit(400)))).toBe("none")
  await append(log, "again")
  await log.close()
  expect(await reopened(disk, count + 1)).toHaveLength(count + 1)
})

/** `disk`, on which synced writes find no space while `isFull`, although it was taken: half of each is written. */
function fullWhenOverwritten(disk: SimulatedFileSystem, isFull: () => boolean): FileSystem {
  const open = async (path: string, mode: "read" | "edit" | "create" | "edit-synced") => {
    if (mode === "create") return disk.open(path, mode)
    const file = await disk.open(path, mode)
    if (file === undefined || mode !== "edit-synced") return file
    const write = async (source: Uint8Array, offset: number): Promise<void> => {
      if (!isFull()) return file.write(source, offset)
      const plain = await disk.open(path, "edit")
      await plain!.write(source.subarray(0, source.length / 2 + 10), offset)
      await plain!.close()
      throw new EngineError("STORAGE_FULL", "no space to write over what is there")
    }
    const stand: typeof file = {
      write,
      read: (target, offset) => file.read(target, offset),
      sync: () => file.sync(),
      truncate: (bytes) => file.truncate(bytes),
      size: () => file.size(),
      close: () => file.close(),
    }
    return new SyncedFile(stand, path, undefined)
  }
  return new Proxy(disk, {
    get: (target, name) => {
      if (name === "open") return open
      const member: unknown = Reflect.get(target, name)
      return typeof member === "function" ? member.bind(target) : member
    },
  })
}

test("where prepared room cannot be written for want of space, the group waits, and is written when there is some", async () => {
  const disk = new SimulatedFileSystem({ seed: 8 })
  const clock = new SimulatedClock()
  let isFull = false
  const log = await Log.create(
    options(
      fullWhenOverwritten(disk, () => isFull),
      { clock },
    ),
  )
  await append(log, "before")
  await preparedIn(disk, 2)
  isFull = true
  const entry = "waits ".repeat(200)
  const synced = log.synced(log.append(Buffer.from(entry)))
  for (let attempt = 1; attempt <= 3; attempt++) {
    await expect.poll(() => clock.sleeperCount).toBe(1)
    // Meanwhile the machine may stop: what was written in part is no damage.
    expect(["before", entry]).toEqual(expect.arrayContaining(await reopened(disk.copy(attempt))))
    if (attempt === 3) isFull = false
    await clock.advance(1000)
  }
  await synced
  await append(log, "behind")
  await log.close()
  expect(await reopened(disk.restart(), 3)).toEqual(["before", entry, "behind"])
})

test("zeros over a write that failed are durable before anything is written in their place", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const disk = new SimulatedFileSystem({ seed })
    const log = await Log.create(options(disk))
    await preparedIn(disk, 2)
    // The write fails, zeros are written over it, and the process is killed before they are synced.
    disk.failNth("write", 1)
    disk.onCall = (words) => words.includes(`sync ${SEGMENT}`) && disk.crashAt(disk.steps)
    log.append(Buffer.from("x".repeat(5 * SECTOR_BYTES)))
    await expect(log.synced(0)).rejects.toThrow()
    await untilCrash(log.close())
    const killed = disk.restartProcess(seed)
    const found = await Log.open(options(killed), 0)
    const entries = await entriesOf(found)
    await append(found, "short")
    const again = await Log.open(options(killed.restart(seed)), 0)
    expect(await entriesOf(again), `seed ${seed}`).toEqual([...entries, "short"])
    await again.close()
  }
})
