// A run from the first byte to the last: what was written comes back, and no damaged byte ever does.

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert"
import { isEngineError, OpenRun, RunDirectory, RunFile, RunWriter } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedCrash, SimulatedFileSystem } from "../simulation/index.ts"
import { originOf, readRun, scanRun, type TestRecord, writeRun } from "./fixture.ts"

const DIRECTORY = "/runs"
const PATH = `${DIRECTORY}/L0.1.1.run`

async function makeDisk(seed = 1): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem({ seed })
  await disk.makeDirectory(DIRECTORY)
  return disk
}

async function withRun<T>(disk: SimulatedFileSystem, use: (run: OpenRun) => Promise<T>): Promise<T> {
  const file = await RunFile.open(disk, PATH)
  let closing: Promise<void> | undefined
  const run = new OpenRun(file, () => {
    closing = file.close()
  })
  try {
    return await use(run)
  } finally {
    run.release()
    await closing
    strictEqual(disk.openPaths.length, 0)
  }
}

/** Records of all lengths around a block, a window of 1 MiB and beyond, tombstones between them. */
const mixed: TestRecord[] = [
  ...Array.from({ length: 9000 }, (_, i) => ({
    key: `key-${i}`,
    value: i % 7 === 0 ? "" : `value ${i}`.repeat(i % 9),
  })),
  ...[4070, 4080, 4090, 8192, 70_000].map((bytes) => ({ key: `block-${bytes}`, value: "b".repeat(bytes) })),
  { key: "over a window", value: "w".repeat(3 * 1024 * 1024) },
  { key: "k".repeat(65_535), value: "" },
  { key: "last", value: "l" },
]

test("run: records come back by offset and by scan, in order, from a file with padding", async () => {
  const disk = await makeDisk()
  const figures = await writeRun(disk, PATH, originOf(1), mixed, { paddingBytes: 3 })
  strictEqual(figures.recordCount, mixed.length)
  strictEqual(figures.tombstoneCount, mixed.filter((record) => record.value === "").length)
  strictEqual(figures.bytes, disk.bytesOf(PATH).length)
  await withRun(disk, async (run) => {
    deepStrictEqual(run.figures, figures)
    ok(isSame(await readRun(run), mixed))
    ok(isSame(await scanRun(run), mixed))
  })
})

function isSame(a: readonly TestRecord[], b: readonly TestRecord[]): boolean {
  return (
    a.length === b.length && a.every((record, i) => record.key === b[i]!.key && record.value === b[i]!.value)
  )
}

test("run: records that are not listed are met by no scan", async () => {
  const disk = await makeDisk()
  await writeRun(disk, PATH, originOf(1), mixed.slice(0, 5000), { isListed: (index) => index % 1000 === 1 })
  await withRun(disk, async (run) => {
    deepStrictEqual(
      (await scanRun(run)).map((record) => record.key),
      [1, 1001, 2001, 3001, 4001].map((i) => `key-${i}`),
    )
  })
})

test("run: one without records opens and is empty", async () => {
  const disk = await makeDisk()
  await writeRun(disk, PATH, originOf(1), [])
  await withRun(disk, async (run) => deepStrictEqual(await scanRun(run), []))
})

test("run: readers of one block share one read of the disk", async () => {
  const disk = await makeDisk()
  await writeRun(disk, PATH, originOf(1), mixed.slice(0, 100))
  await withRun(disk, async (run) => {
    const before = disk.steps
    const records = await Promise.all([run.read(0), run.read(0), run.read(0)])
    strictEqual(disk.steps - before, 1)
    deepStrictEqual(records[0], records[2])
  })
})

test("run: offsets at which no record starts are DATA_LOSS or another record, never a crash", async () => {
  const disk = await makeDisk()
  const { recordsBytes } = await writeRun(disk, PATH, originOf(1), [{ key: "a", value: "b" }], {
    paddingBytes: 2,
  })
  await withRun(disk, async (run) => {
    for (let offset = 5; offset < recordsBytes + 10; offset++) {
      await rejects(run.read(offset), (error) => isEngineError(error, "DATA_LOSS"))
    }
  })
})

const few: TestRecord[] = [
  { key: "a", value: "xyz" },
  { key: "b", value: "" },
  { key: "c", value: "w".repeat(200) },
]

test("run: bytes on disk are pinned", async () => {
  const disk = await makeDisk()
  await writeRun(disk, PATH, originOf(1), few.slice(0, 2), {
    hash: (key) => ({ h1: 0x01020304, h2: key[0]! }),
  })
  expect(Buffer.from(disk.bytesOf(PATH)).toString("hex")).toMatchInlineSnapshot(
    `"0103006178797a010000620403020161000000000000000403020162000700000000806b0d52d2010000005961d2ac0b0000000000000018000000000000000200000063b0eb2523000000000000000400000000000000000000000000000000000000000000010b000000000000000200000000000000010000000000000001000000000000000100000000000000010000000010000000000200b8da51c000000000000000000000000001000000d7043e0f5652554e"`,
  )
})

/** Opens and reads all there is: true, or what went wrong. */
async function readAll(disk: SimulatedFileSystem, expected: readonly TestRecord[]): Promise<boolean> {
  try {
    return await withRun(disk, async (run) => {
      ok(isSame(await scanRun(run), expected), "wrong records")
      ok(isSame(await readRun(run), expected), "wrong records")
      return true
    })
  } catch (error) {
    if (isEngineError(error, "DATA_LOSS") || isEngineError(error, "FORMAT_NEWER")) return false
    throw error
  }
}

test("run: every single-bit change is refused", async () => {
  const disk = await makeDisk()
  const { bytes } = await writeRun(disk, PATH, originOf(1), few)
  ok(await readAll(disk, few))
  for (let bit = 0; bit < bytes * 8; bit++) {
    disk.flip(PATH, bit)
    strictEqual(await readAll(disk, few), false, `bit ${bit}`)
    disk.flip(PATH, bit)
  }
  ok(await readAll(disk, few))
})

test("run: every truncation is refused", async () => {
  const disk = await makeDisk()
  const { bytes } = await writeRun(disk, PATH, originOf(1), few)
  for (let length = bytes - 1; length >= 0; length--) {
    disk.truncate(PATH, length)
    strictEqual(await readAll(disk, few), false, `${length} bytes`)
  }
})

test("run writer: a crash at any call leaves the whole run or none, and never a file that looks like one", async () => {
  for (let step = 2; ; step++) {
    const disk = await makeDisk(step)
    disk.crashAt(step)
    const finished = await writeRun(disk, PATH, originOf(1), mixed).catch((error: unknown) => {
      ok(error instanceof SimulatedCrash, String(error))
      return undefined
    })
    const after = disk.restart()
    const directory = await RunDirectory.open(after, DIRECTORY, () => undefined)
    const run = await directory.findById(originOf(1).id)
    if (finished !== undefined) ok(run !== undefined, `step ${step}: a finished run is there`)
    if (run !== undefined) ok(isSame(await scanRun(run), mixed), `step ${step}`)
    ok(
      after.paths().every((path) => path === PATH),
      `step ${step}: ${after.paths()}`,
    )
    run?.release()
    await directory.close()
    if (finished !== undefined) return
  }
})

test("run writer: a full disk is STORAGE_FULL, and giving up leaves nothing", async () => {
  const disk = await makeDisk()
  disk.setFreeBytes(100_000)
  await rejects(writeRun(disk, PATH, originOf(1), mixed), (error) => isEngineError(error, "STORAGE_FULL"))
  deepStrictEqual(disk.paths(), [])
  strictEqual(disk.openPaths.length, 0)
})

test("run writer: a leftover of an earlier attempt is replaced", async () => {
  const disk = await makeDisk()
  await RunWriter.create(disk, PATH, originOf(1))
  await writeRun(disk, PATH, originOf(1), few)
  deepStrictEqual(disk.paths(), [PATH])
})

test("run writer: what is finished survives the loss of power, whole", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const disk = await makeDisk(seed)
    await writeRun(disk, PATH, originOf(1), few)
    ok(await readAll(disk.restart(), few), `seed ${seed}`)
  }
})

test("run: a damaged byte of checksums, directory or trailer is found when the file is opened", async () => {
  const disk = await makeDisk()
  const { bytes, recordsBytes, recordCount } = await writeRun(disk, PATH, originOf(1), few)
  for (let at = recordsBytes + recordCount * 12; at < bytes; at++) {
    disk.flip(PATH, at * 8)
    await rejects(RunFile.open(disk, PATH), (error) => isEngineError(error, "DATA_LOSS"), `byte ${at}`)
    disk.flip(PATH, at * 8)
  }
  strictEqual(disk.openPaths.length, 0)
})
