// The simulation itself: stops in the middle of a call, faults, full disks and damage. What power loss takes is in
// simulated-power-loss.test.ts.

import { expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { SimulatedCrash, SimulatedFileSystem, stopEverywhere, untilCrash } from "./index.ts"
import { durableFile, filled, outcomes, SECTOR, SEEDS, sortedKeys } from "./simulated-outcomes.ts"

test("from the step of the crash on every call rejects, and what was under way never happens", async () => {
  for (const seed of SEEDS) {
    const disk = new SimulatedFileSystem({ seed })
    const file = await durableFile(disk, 1)
    disk.crashAt(disk.steps + 2)
    const underWay = file.truncate(0)
    const crashing = file.size()
    const { length } = disk.bytesOf("/a")
    await expect(crashing).rejects.toThrow(SimulatedCrash)
    expect(disk.isCrashed).toBe(true)
    await untilCrash(underWay)
    expect(disk.bytesOf("/a").length, `seed ${seed}`).toBe(length)
    for (const call of [
      () => file.read(filled(1, 0), 0),
      () => file.close(),
      () => disk.open("/a", "read"),
      () => disk.open("/b", "create"),
      () => disk.makeDirectory("/x"),
      () => disk.makeDirectory("/"),
      () => disk.removeDirectory("/"),
      () => disk.lock("/"),
    ]) {
      await expect(call()).rejects.toThrow(SimulatedCrash)
    }
    expect(disk.paths()).toEqual(["/a"])
  }
})

test("the write that the crash hits is torn at a sector's end", async () => {
  const lengths = new Set<number>()
  for (const seed of SEEDS) {
    const disk = new SimulatedFileSystem({ seed })
    const file = await durableFile(disk, 100)
    disk.crashAt(disk.steps + 1)
    await expect(file.write(filled(2000, 2), 100)).rejects.toThrow(SimulatedCrash)
    const { length } = disk.restartProcess().bytesOf("/a")
    lengths.add(length)
  }
  expect([...lengths].sort((a, b) => a - b)).toEqual([100, 512, 1024, 1536, 2048, 2100])
})

test("a change of names that the crash hits has happened or not", async () => {
  const results = new Set<string>()
  for (const seed of SEEDS) {
    const disk = new SimulatedFileSystem({ seed })
    await durableFile(disk, 1)
    disk.crashAt(disk.steps + 1)
    await untilCrash(disk.rename("/a", "/b"))
    results.add(disk.restartProcess().paths().join(" "))
  }
  expect([...results].sort()).toEqual(["/a", "/b"])
})

test("calls that overlap take effect in any order", async () => {
  const orders = new Set<number>()
  for (const seed of SEEDS) {
    const disk = new SimulatedFileSystem({ seed })
    const file = await durableFile(disk, 1)
    await Promise.all([file.write(filled(1, 2), 0), file.write(filled(1, 3), 0)])
    orders.add(disk.bytesOf("/a")[0]!)
  }
  expect([...orders].sort()).toEqual([2, 3])
})

test("the same seed and the same calls give the same disk", async () => {
  const run = async (seed: number): Promise<string> => {
    const disk = new SimulatedFileSystem({ seed })
    const file = await durableFile(disk, 5000)
    for (let at = 0; at < 5000; at += 700) await file.write(filled(700, at % 251), at)
    const after = disk.restart()
    return Buffer.from(after.bytesOf("/a")).toString("hex")
  }
  const runs = await Promise.all(SEEDS.slice(0, 20).map(run))
  expect(await Promise.all(SEEDS.slice(0, 20).map(run))).toEqual(runs)
  expect(new Set(runs).size).toBeGreaterThan(5)
})

test("one crash can be asked for several of its outcomes", async () => {
  const disk = new SimulatedFileSystem({ seed: 8 })
  await disk.open("/a", "create")
  const outcomes = new Set(SEEDS.map((seed) => disk.restart(seed).paths().join(" ")))
  expect([...outcomes].sort()).toEqual(["", "/a"])
})

test("the n-th call of a kind fails, once, and the disk goes on", async () => {
  const disk = new SimulatedFileSystem({ seed: 9 })
  const file = await durableFile(disk, 4)
  disk.failNth("read", 2)
  await file.read(filled(1, 0), 0)
  await expectReason(file.read(filled(1, 0), 0), "STORAGE_FAILED")
  expect(await file.read(filled(1, 0), 0)).toBe(1)
})

test("a synced write is durable when it resolves, and no other bytes are; it may be torn until then", async () => {
  const sectorsOf = (after: SimulatedFileSystem): string =>
    [0, 1, 2, 3].map((sector) => after.bytesOf("/a")[sector * SECTOR]).join("")
  const after = await outcomes(async (disk) => {
    const plain = await durableFile(disk, 4 * SECTOR)
    await plain.write(filled(4 * SECTOR, 2), 0)
    const synced = await disk.open("/a", "edit-synced")
    await synced!.write(filled(2 * SECTOR, 3), SECTOR)
  }, sectorsOf)
  expect(sortedKeys(after)).toEqual(["1331", "1332", "2331", "2332"])
  const during = await outcomes(async (disk) => {
    await durableFile(disk, 4 * SECTOR)
    const synced = await disk.open("/a", "edit-synced")
    // It takes two steps; the machine stops in the second.
    disk.crashAt(disk.steps + 2)
    await untilCrash(synced!.write(filled(2 * SECTOR, 3), SECTOR))
  }, sectorsOf)
  expect(sortedKeys(during)).toEqual(["1111", "1131", "1311", "1331"])
})

test("a synced write whose sync fails is refused, and so is every one behind it", async () => {
  const disk = new SimulatedFileSystem({ seed: 3 })
  await durableFile(disk, SECTOR)
  const synced = await disk.open("/a", "edit-synced")
  disk.failNth("sync", 1)
  await expectReason(synced!.write(filled(SECTOR, 3), 0), "STORAGE_FAILED")
  await expectReason(synced!.write(filled(SECTOR, 3), 0), "STORAGE_FAILED")
  expect(disk.restart().bytesOf("/a")).toEqual(filled(SECTOR, 1))
})

test("a write that fails may have been written in part", async () => {
  const lengths = new Set<number>()
  for (const seed of SEEDS) {
    const disk = new SimulatedFileSystem({ seed })
    const file = await durableFile(disk, 0)
    disk.failNth("write", 1)
    await expectReason(file.write(filled(4, 2), 0), "STORAGE_FAILED")
    lengths.add(disk.bytesOf("/a").length)
  }
  expect([...lengths].sort()).toEqual([0, 1, 2, 3, 4])
})

test("after a failed sync the bytes can be read but never survive, and the sync is refused again", async () => {
  for (const seed of SEEDS) {
    const disk = new SimulatedFileSystem({ seed })
    const file = await durableFile(disk, 1)
    await file.write(filled(1, 2), 0)
    disk.failNth("sync", 1)
    await expectReason(file.sync(), "STORAGE_FAILED")
    await expectReason(file.sync(), "STORAGE_FAILED")
    expect(disk.bytesOf("/a")).toEqual(filled(1, 2))
    const again = await disk.open("/a", "edit")
    await again!.sync()
    expect(disk.restart().bytesOf("/a"), `seed ${seed}`).toEqual(filled(1, 1))
  }
})

test("a full disk takes what fits and says STORAGE_FULL; what is given back can be used", async () => {
  const disk = new SimulatedFileSystem({ seed: 10 })
  const file = await durableFile(disk, 100)
  disk.setFreeBytes(50)
  await file.write(filled(100, 2), 0)
  await expectReason(file.write(filled(100, 3), 100), "STORAGE_FULL")
  expect(disk.bytesOf("/a")).toHaveLength(150)
  await file.truncate(140)
  await file.write(filled(10, 3), 140)
  await expectReason(file.write(filled(1, 3), 150), "STORAGE_FULL")
  const other = await disk.open("/b", "create")
  await disk.remove("/a")
  await other.write(filled(150, 2), 0)
  await expectReason(other.write(filled(1, 2), 150), "STORAGE_FULL")
  disk.setFreeBytes(Number.POSITIVE_INFINITY)
  await other.write(filled(10_000, 2), 0)
})

test("flip and truncate damage what is stored, before and after power loss", async () => {
  const disk = new SimulatedFileSystem({ seed: 11 })
  await durableFile(disk, 4)
  disk.flip("/a", 9)
  disk.truncate("/a", 3)
  const damaged = Uint8Array.of(1, 3, 1)
  expect(disk.bytesOf("/a")).toEqual(damaged)
  expect(disk.restart().bytesOf("/a")).toEqual(damaged)
})

test("open files and the last steps can be seen", async () => {
  const disk = new SimulatedFileSystem({ seed: 12 })
  const file = await durableFile(disk, 4)
  expect(disk.openPaths).toEqual(["/a"])
  await file.close()
  expect(disk.openPaths).toEqual([])
  expect(disk.trace.slice(0, 2)).toEqual(["1 open /a to create", "2 write /a [0, 4)"])
  expect(disk.steps).toBe(5)
})

/** Makes a file as everybody should. */
async function publish(disk: SimulatedFileSystem): Promise<void> {
  const file = await disk.open("/a.tmp", "create")
  await file.write(filled(SECTOR + 100, 1), 0)
  await file.truncate(SECTOR + 10)
  await file.sync()
  await file.close()
  await disk.rename("/a.tmp", "/a")
  await disk.syncDirectory("/")
}

function describeDisk(disk: SimulatedFileSystem): string {
  return disk
    .paths()
    .map((path) => `${path} ${disk.bytesOf(path).join("")}`)
    .join()
}

test("a life that goes on leaves at each change what one that stops there leaves, by power loss and by a kill", async () => {
  const byCrash = { power: new Set<string>(), kill: new Set<string>() }
  const byStop = { power: new Set<string>(), kill: new Set<string>() }
  for (const seed of SEEDS) {
    const disk = new SimulatedFileSystem({ seed })
    const stops = await stopEverywhere(
      disk,
      () => publish(disk),
      () => undefined,
    )
    expect(stops.length).toBe(7)
    for (const stop of stops) {
      byStop.power.add(describeDisk(stop.disk.restart()))
      byStop.kill.add(describeDisk(stop.disk.restartProcess()))
    }
    // Nothing of the stops shows in the life itself.
    expect(describeDisk(disk)).toBe(`/a ${filled(SECTOR + 10, 1).join("")}`)
    for (let step = 1; step <= disk.steps + 1; step++) {
      const stopped = new SimulatedFileSystem({ seed })
      stopped.crashAt(step)
      await untilCrash(publish(stopped))
      byCrash.power.add(describeDisk(stopped.restart()))
      byCrash.kill.add(describeDisk(stopped.restartProcess()))
    }
  }
  expect([...byStop.power].sort()).toEqual([...byCrash.power].sort())
  expect([...byStop.kill].sort()).toEqual([...byCrash.kill].sort())
})
