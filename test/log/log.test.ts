// The log by itself on a simulated disk: its bytes, what a crash leaves, what damage is told from it, full disks,
// failing disks.

import { isEngineError, Log, type LogOptions, SECTOR_BYTES } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedClock, SimulatedFileSystem, SimulatedRandom } from "../simulation/index.ts"

const ID = "000102030405060708090a0b0c0d0e0f"
const SEGMENT = "/log/0000000001.log"

interface Given {
  readonly segmentBytes?: number
  readonly clock?: SimulatedClock
  readonly failures?: unknown[]
}

function options(fileSystem: SimulatedFileSystem, given: Given = {}): LogOptions {
  return {
    fileSystem,
    clock: given.clock ?? new SimulatedClock({ autoAdvance: true }),
    directory: "/log",
    id: ID,
    segmentBytes: given.segmentBytes ?? 4096,
    onFailure: (error) => given.failures?.push(error),
    onWarning: (error) => {
      throw error
    },
  }
}

async function entriesOf(log: Log, from = 0): Promise<string[]> {
  const entries: string[] = []
  for await (const { bytes } of log.read(from)) entries.push(Buffer.from(bytes).toString())
  return entries
}

async function append(log: Log, ...entries: string[]): Promise<void> {
  const last = entries.map((entry) => log.append(Buffer.from(entry))).at(-1)!
  await log.synced(last)
}

/** A closed log of these groups, each synced by itself. */
async function written(
  groups: readonly (readonly string[])[],
  given: Given = {},
): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const log = await Log.create(options(disk, given))
  for (const group of groups) await append(log, ...group)
  await log.close()
  return disk
}

async function reopened(disk: SimulatedFileSystem, expectedEnd?: number, from = 0): Promise<string[]> {
  const log = await Log.open(options(disk), from, expectedEnd)
  const entries = await entriesOf(log, from)
  await log.close()
  return entries
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (isEngineError(error)) return error.reason
    throw error
  }
  return "none"
}

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
    log.append(Buffer.from("not written ".repeat(200)))
    await expect(log.synced(1)).rejects.toThrow()
    await log.close()
    const found = await Log.open(options(disk.restartProcess()), 0)
    expect([seed, await entriesOf(found)]).toEqual([seed, ["synced"]])
    await append(found, "goes on")
    expect(await entriesOf(found)).toEqual(["synced", "goes on"])
    await found.close()
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
      await log.close().catch(() => undefined)
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

/** Resolves when so many segments are there, none of them half made. */
async function preparedIn(disk: SimulatedFileSystem, count: number): Promise<void> {
  await expect
    .poll(() => disk.paths().join(" "))
    .toBe(Array.from({ length: count }, (_, i) => `/log/000000000${i + 1}.log`).join(" "))
  // The name is made durable behind it.
  await expect.poll(() => disk.trace.at(-1)).toMatch(/syncDirectory|sync/)
}
