// The simulation itself: what power loss takes from a disk, and what it must leave. A crash test on a disk that is too kind
// proves nothing.

import type { File } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedFileSystem, untilCrash } from "./index.ts"
import { durableFile, filled, outcomes, SECTOR, SEEDS, sortedKeys } from "./simulated-outcomes.ts"

test("what was synced, name and bytes, survives every power loss", async () => {
  const counts = await outcomes(
    async (disk) => void (await durableFile(disk, 1300)),
    (after) => after.bytesOf("/a").join(""),
  )
  expect(sortedKeys(counts)).toEqual([filled(1300, 1).join("")])
})

test("each sector of an unsynced write may be old or new, whatever its neighbours are", async () => {
  const counts = await outcomes(
    async (disk) => {
      const file = await durableFile(disk, 3 * SECTOR)
      await file.write(filled(3 * SECTOR, 2), 0)
    },
    (after) => {
      const bytes = after.bytesOf("/a")
      const sectors = [0, 1, 2].map((sector) => bytes.subarray(sector * SECTOR, (sector + 1) * SECTOR))
      for (const sector of sectors) expect(sector).toEqual(filled(SECTOR, sector[0]!))
      return sectors.map((sector) => sector[0]).join("")
    },
  )
  expect(sortedKeys(counts)).toEqual(["111", "112", "121", "122", "211", "212", "221", "222"])
})

test("of several unsynced writes to one sector a prefix survives, never a later one alone", async () => {
  const counts = await outcomes(
    async (disk) => {
      const file = await durableFile(disk, 2)
      await file.write(filled(1, 2), 0)
      await file.write(filled(1, 3), 1)
    },
    (after) => after.bytesOf("/a").join(""),
  )
  expect(sortedKeys(counts)).toEqual(["11", "21", "23"])
})

test("an unsynced growth may leave the old length, the new one with the bytes, or with zeros", async () => {
  const counts = await outcomes(
    async (disk) => {
      const file = await durableFile(disk, SECTOR)
      await file.write(filled(SECTOR, 2), SECTOR)
    },
    (after) => {
      const bytes = after.bytesOf("/a")
      return `${bytes.length}: ${bytes[SECTOR] ?? "nothing"}`
    },
  )
  expect(sortedKeys(counts)).toEqual(["1024: 0", "1024: 2", "512: nothing"])
})

test("of several unsynced growths the length is any that the file had, whatever bytes survive", async () => {
  const counts = await outcomes(
    async (disk) => {
      const file = await durableFile(disk, SECTOR)
      for (let sector = 1; sector < 4; sector++) await file.write(filled(SECTOR, 2), sector * SECTOR)
    },
    (after) => String(after.bytesOf("/a").length / SECTOR),
  )
  expect(sortedKeys(counts)).toEqual(["1", "2", "3", "4"])
})

test("an unsynced truncation may have happened or not; a synced one has", async () => {
  const act = async (disk: SimulatedFileSystem): Promise<File> => {
    const file = await durableFile(disk, 2 * SECTOR)
    await file.truncate(SECTOR)
    return file
  }
  const length = (after: SimulatedFileSystem): string => String(after.bytesOf("/a").length)
  expect(sortedKeys(await outcomes(async (disk) => void (await act(disk)), length))).toEqual(["1024", "512"])
  const synced = async (disk: SimulatedFileSystem): Promise<void> => (await act(disk)).sync()
  expect(sortedKeys(await outcomes(synced, length))).toEqual(["512"])
})

test("names that were not synced are kept or forgotten, each on its own", async () => {
  const counts = await outcomes(
    async (disk) => {
      for (const path of ["/a", "/b"]) await (await disk.open(path, "create")).sync()
    },
    (after) => after.paths().join(" "),
  )
  expect(sortedKeys(counts)).toEqual(["", "/a", "/a /b", "/b"])
})

test("an unsynced removal or link is kept or forgotten; a synced one is kept", async () => {
  const act = async (disk: SimulatedFileSystem): Promise<void> => {
    await durableFile(disk, 1)
    await disk.link("/a", "/b")
    await disk.syncDirectory("/")
    await disk.remove("/a")
    await disk.link("/b", "/c")
  }
  const paths = (after: SimulatedFileSystem): string => after.paths().join(" ")
  expect(sortedKeys(await outcomes(act, paths))).toEqual(["/a /b", "/a /b /c", "/b", "/b /c"])
  const synced = async (disk: SimulatedFileSystem): Promise<void> => {
    await act(disk)
    await disk.syncDirectory("/")
  }
  expect(sortedKeys(await outcomes(synced, paths))).toEqual(["/b /c"])
})

test("a rename is old or new, never both and never neither, within and across directories", async () => {
  for (const target of ["/b", "/x/b"]) {
    const counts = await outcomes(
      async (disk) => {
        await durableFile(disk, 1)
        await disk.makeDirectory("/x")
        const replaced = await disk.open(target, "create")
        await replaced.write(filled(1, 9), 0)
        await replaced.sync()
        await disk.syncDirectory("/")
        await disk.syncDirectory("/x")
        await disk.rename("/a", target)
      },
      (after) =>
        after
          .paths()
          .map((path) => `${path}=${after.bytesOf(path)[0]}`)
          .join(" "),
    )
    expect(sortedKeys(counts)).toEqual([`/a=1 ${target}=9`, `${target}=1`])
  }
})

test("of a rename across directories a half whose directory was synced alone is durable alone", async () => {
  const renameAndSync =
    (directory: string) =>
    async (disk: SimulatedFileSystem): Promise<void> => {
      await durableFile(disk, 1)
      await disk.makeDirectory("/x")
      await disk.rename("/a", "/x/a")
      await disk.syncDirectory(directory)
    }
  const paths = (after: SimulatedFileSystem): string => after.paths().join(" ")
  expect(sortedKeys(await outcomes(renameAndSync("/x"), paths))).toEqual(["/a /x/a", "/x/a"])
  expect(sortedKeys(await outcomes(renameAndSync("/"), paths))).toEqual(["", "/x/a"])
})

test("two names of one file are two names of one file after power loss", async () => {
  const disk = new SimulatedFileSystem({ seed: 5 })
  await durableFile(disk, 1)
  await disk.link("/a", "/b")
  await disk.syncDirectory("/")
  const after = disk.restart()
  const file = await after.open("/a", "edit")
  await file!.write(filled(1, 7), 0)
  expect(after.bytesOf("/b")).toEqual(filled(1, 7))
})

test("makeDirectory is durable when it has resolved, also for callers that overlap", async () => {
  for (const seed of SEEDS) {
    const disk = new SimulatedFileSystem({ seed })
    const resolved: string[] = []
    const make = async (path: string): Promise<void> => {
      await disk.makeDirectory(path)
      resolved.push(path)
    }
    disk.crashAt(1 + (seed % 16))
    await Promise.all(["/x/y", "/x/z", "/x/y/w"].map((path) => untilCrash(make(path))))
    const after = disk.restart()
    for (const path of resolved) {
      expect((await after.status(path))?.isDirectory, `seed ${seed}: ${path}`).toBe(true)
    }
  }
})

test("the end of the process loses nothing but its locks", async () => {
  const disk = new SimulatedFileSystem({ seed: 6 })
  const file = await disk.open("/a", "create")
  await file.write(filled(1000, 3), 0)
  await disk.lock("/")
  const after = disk.restartProcess()
  expect(after.bytesOf("/a")).toEqual(filled(1000, 3))
  await after.lock("/")
})

test("a lock is lost with power", async () => {
  const disk = new SimulatedFileSystem({ seed: 7 })
  await disk.makeDirectory("/x")
  await disk.lock("/x")
  await disk.restart().lock("/x")
})
