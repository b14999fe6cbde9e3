// The log by itself on a simulated disk: its bytes, what a crash leaves, what damage is told from it.

import { Log, SECTOR_BYTES } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedFileSystem, SimulatedRandom } from "../simulation/index.ts"
import { append, entriesOf, ID, options, reasonOf, reopened, SEGMENT, written } from "./log-fixture.ts"

test("bytes: a segment with one group of two entries", async () => {
  const bytes = Buffer.from((await written([["a", "xyz"]])).bytesOf(SEGMENT))
  expect(bytes).toHaveLength(4096)
  expect(bytes.subarray(0, 48).toString("hex")).toBe(
    `564c4f47 ${bytes.subarray(4, 8).toString("hex")} 01000000 00000000 ${ID} 0100000000000000 0010000000000000`.replaceAll(
      " ",
      "",
    ),
  )
  expect(bytes.subarray(4, 8).toString("hex")).toBe(PINNED_HEADER_CRC)
  expect(bytes.subarray(512, 548).toString("hex")).toBe(
    `${PINNED_SECTOR_CRC} 01000000 01000000 0c000000 0000000000000000 01000000 61 03000000 78797a`.replaceAll(
      " ",
      "",
    ),
  )
  expect(bytes.subarray(548).every((byte) => byte === 0)).toBe(true)
})

const PINNED_HEADER_CRC = "d5ce4678"
const PINNED_SECTOR_CRC = "59e861b8"

test("entries of all lengths come back in order, over many segments, from any position", async () => {
  const groups = Array.from({ length: 30 }, (_, i) =>
    Array.from({ length: 1 + (i % 4) }, (_, j) => `${i}.${j} `.repeat((i * 37) % 500)),
  )
  const all = groups.flat()
  const disk = await written(groups)
  expect(disk.paths().length).toBeGreaterThan(5)
  expect(await reopened(disk, all.length)).toEqual(all)
  expect(await reopened(disk, all.length, 17)).toEqual(all.slice(17))
})

test("an entry longer than a segment gets a longer one", async () => {
  const long = "long ".repeat(5000)
  expect(await reopened(await written([[long], ["short"], [long]]))).toEqual([long, "short", long])
})

test("entries that come while a sync runs share the next one", async () => {
  const log = await Log.create(options(new SimulatedFileSystem({ seed: 2 })))
  const first = log.synced(log.append(Buffer.from("first")))
  const others = Array.from({ length: 50 }, (_, i) => log.synced(log.append(Buffer.from(`${i}`))))
  expect(new Set([first, ...others]).size).toBe(1)
  await first
  expect(log.figures).toMatchObject({ entryCount: 51, syncCount: 1 })
  expect(log.synced(log.end - 1)).toBeUndefined()
  await log.close()
})

test("a synced sector is never written again", async () => {
  const disk = new SimulatedFileSystem({ seed: 3 })
  const log = await Log.create(options(disk, { segmentBytes: 8192 }))
  for (let i = 0; i < 40; i++) await append(log, `entry ${i} `.repeat(i))
  await log.close()
  const written = disk.trace
    .map((line) => /write (\S+\.log)(?:\.tmp)? \[(\d+), (\d+)\)/.exec(line))
    .filter((match) => match !== null && Number(match[2]) > 0)
  const ends = new Map<string, number>()
  for (const match of written) {
    expect(Number(match![2])).toBeGreaterThanOrEqual(ends.get(match![1]!) ?? 0)
    ends.set(match![1]!, Number(match![3]))
  }
  expect(written.length).toBeGreaterThan(20)
})

test("every bit that flips in a closed log is found", async () => {
  const groups = [["one", "two"], ["three ".repeat(200)], ["four"]]
  const length = (await written(groups)).bytesOf(SEGMENT).length
  for (let bit = 0; bit < length * 8; bit += isHeader(bit) ? 1 : 29) {
    const disk = await damagedCopy((copy) => copy.flip(SEGMENT, bit), groups)
    const reason = await reasonOf(reopened(disk, 4))
    expect(["DATA_LOSS", "FORMAT_NEWER"], `bit ${bit}`).toContain(reason)
  }
})

test("every bit that flips in a log that was not closed is found too", async () => {
  const groups = [["one"], ["two ".repeat(200)]]
  for (let bit = 0; bit < 4096 * 8; bit += 61) {
    const disk = await damagedCopy((copy) => copy.flip(SEGMENT, bit), groups)
    expect(["DATA_LOSS", "FORMAT_NEWER"], `bit ${bit}`).toContain(await reasonOf(reopened(disk)))
  }
})

test("every truncation is found", async () => {
  for (let bytes = 0; bytes < 4096; bytes += bytes % 512 < 3 || bytes % 512 > 508 ? 1 : 50) {
    const disk = await damagedCopy((copy) => copy.truncate(SEGMENT, bytes), [["one"], ["two"]])
    expect(await reasonOf(reopened(disk)), `${bytes} bytes`).toBe("DATA_LOSS")
  }
})

/** Whether the bit lies in the header of the segment or of one of its sectors. */
function isHeader(bit: number): boolean {
  return bit % (SECTOR_BYTES * 8) < 24 * 8 || bit < 48 * 8
}

/** One disk is filled and read many times: damage is done to its bytes, and undone. */
async function damagedCopy(
  damage: (disk: SimulatedFileSystem) => void,
  groups: readonly (readonly string[])[],
): Promise<SimulatedFileSystem> {
  const key = JSON.stringify(groups)
  let origin = origins.get(key)
  if (origin === undefined) {
    origin = await written(groups)
    origins.set(key, origin)
  }
  const disk = origin.restart(1)
  damage(disk)
  return disk
}

const origins = new Map<string, SimulatedFileSystem>()

/** Writes zeros over sectors of the first segment: as if they had never reached the disk. */
async function lose(disk: SimulatedFileSystem, sectors: readonly number[]): Promise<void> {
  const file = await disk.open(SEGMENT, "edit")
  for (const sector of sectors) await file!.write(new Uint8Array(SECTOR_BYTES), sector * SECTOR_BYTES)
  await file!.sync()
  await file!.close()
}

test("whatever sectors of the last group are missing, it is cut off, and the log goes on", async () => {
  const groups = [["kept"], ["torn ".repeat(250)]] // The second takes sectors 2 to 4.
  for (let mask = 1; mask < 8; mask++) {
    const disk = await damagedCopy(() => undefined, groups)
    await lose(
      disk,
      [2, 3, 4].filter((_, i) => (mask & (1 << i)) !== 0),
    )
    expect(await reasonOf(reopened(disk, 2)), "of a closed log it is damage").toBe("DATA_LOSS")
    const log = await Log.open(options(disk), 0)
    expect(await entriesOf(log), `mask ${mask}`).toEqual(["kept"])
    await append(log, "new")
    await log.close()
    expect(await reopened(disk, 2)).toEqual(["kept", "new"])
  }
})

test("a group that is not the last and lacks a sector is damage", async () => {
  const groups = [["first ".repeat(150)], ["last"]] // Sectors 1 and 2, then 3.
  for (const sectors of [[1], [2], [1, 2]]) {
    const disk = await damagedCopy(() => undefined, groups)
    await lose(disk, sectors)
    expect(await reasonOf(reopened(disk)), `sectors ${sectors.join()}`).toBe("DATA_LOSS")
  }
})

test("a lost segment, or one of another log, is damage; one that was trimmed is not missed", async () => {
  const groups = Array.from({ length: 12 }, (_, i) => [`${i} `.repeat(700)])
  const names = (await written(groups)).paths()
  for (const [index, path] of names.slice(0, -1).entries()) {
    const disk = (await damagedCopy(() => undefined, groups)).restart(2)
    await disk.remove(path)
    await disk.syncDirectory("/log")
    const reason = await reasonOf(reopened(disk.restart(3), 12))
    // Behind the last entries lies only what was prepared.
    expect(reason, `segment ${index + 1}`).toBe("DATA_LOSS")
  }
  const disk = await damagedCopy(() => undefined, groups)
  expect(await reasonOf(Log.open({ ...options(disk), id: ID.replace("0f", "ff") }, 0))).toBe("DATA_LOSS")
  const log = await Log.open(options(disk.restart(4)), 0)
  const before = log.figures.segmentCount
  log.trim(9)
  expect(log.figures.segmentCount).toBeLessThan(before)
  expect((await entriesOf(log, 9)).length).toBe(3)
  log.trim(12)
  await log.close()
})

test("a trimmed log opens from its position on, and an earlier one is missing", async () => {
  const disk = await written(Array.from({ length: 12 }, (_, i) => [`${i} `.repeat(700)]))
  const log = await Log.open(options(disk), 0)
  log.trim(12)
  await log.close()
  expect(await reopened(disk, 12, 12)).toEqual([])
  expect(await reasonOf(reopened(disk, 12, 0))).toBe("DATA_LOSS")
  expect(await reasonOf(reopened(disk, undefined, 13))).toBe("DATA_LOSS")
})

test("a crash at any call: what was synced is there, and of the rest a first part, at any number of crashes", async () => {
  const live = async (
    disk: SimulatedFileSystem,
    seed: number,
    kept: string[],
    asked: string[],
  ): Promise<void> => {
    const random = new SimulatedRandom(seed)
    const isNew = !disk.paths().some((path) => path.endsWith(".log"))
    const log = isNew ? await Log.create(options(disk)) : await Log.open(options(disk), 0)
    const found = await entriesOf(log)
    expect(found.slice(0, kept.length)).toEqual(kept)
    expect(asked.slice(0, found.length)).toEqual(found)
    asked.splice(0, asked.length, ...found)
    kept.splice(0, kept.length, ...found)
    for (let round = 0; round < 12; round++) {
      const count = 1 + random.integer(4)
      for (let i = 0; i < count; i++) {
        asked.push(`${asked.length}:`.repeat(random.integer(300)))
        log.append(Buffer.from(asked.at(-1)!))
      }
      if (random.integer(3) === 0) continue
      const { length } = asked
      await log.synced(log.end - 1)
      kept.splice(0, kept.length, ...asked.slice(0, length))
    }
    await log.close()
  }
  for (let seed = 1; seed <= 150; seed++) {
    const kept: string[] = []
    const asked: string[] = []
    let disk = new SimulatedFileSystem({ seed })
    try {
      for (let life = 0; life < 4; life++) {
        disk.crashAt(1 + new SimulatedRandom(seed * 31 + life).integer(90))
        const dying = disk
        await live(disk, seed * 7 + life, kept, asked).catch((error: unknown) => {
          // The log turns what it met into its own error; the disk knows whether it was the crash.
          if (!dying.isCrashed) throw error
        })
        const isKill = new SimulatedRandom(seed * 17 + life).integer(2) === 0
        disk = isKill ? disk.restartProcess() : disk.restart()
        // A crash before the first segment was there: nothing can have been kept.
        if (!disk.paths().some((path) => path.endsWith(".log"))) expect(kept).toEqual([])
      }
      await live(disk, seed, kept, asked)
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}\n${disk.trace.slice(-5).join("\n")}`)
    }
  }
})

test("what waits for a sync is bounded", async () => {
  const log = await Log.create(options(new SimulatedFileSystem({ seed: 7 }), { segmentBytes: 1024 * 1024 }))
  const entry = Buffer.alloc(30 * 1024 * 1024)
  log.append(entry)
  log.append(entry)
  expect(() => log.append(entry)).toThrow(/wait to be synced/)
  await log.synced(1)
  await append(log, "goes on")
  await log.close()
})
