// A run whose every checksum is right and whose content is wrong is found: what it says of its records is compared with
// the records themselves.

import { crc32 } from "node:zlib"
import type { EngineName } from "@varve/engines"
import { RunFile, verifyRun } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { bytes, openTiny } from "../engines/engine-fixture.ts"
import { simulatedSeams } from "../simulation/index.ts"

const TRAILER_BYTES = 96
const ENTRY_BYTES = 24
const BLOCK_BYTES = 4096

/** A run of the keys `key:10` to `key:49`, one of them deleted, as an engine writes it. */
async function makeRun(name: EngineName): Promise<Buffer> {
  const seams = simulatedSeams(1)
  const engine = await openTiny(name, seams, {})
  for (let i = 10; i < 50; i++) await engine.set(bytes(`key:${i}`), bytes(`value ${i}`))
  await engine.delete(bytes("key:30"))
  await engine.snapshot({ version: 1 })
  const [path] = seams.fileSystem.paths().filter((each) => each.endsWith(".run"))
  const run = Buffer.from(seams.fileSystem.bytesOf(path!))
  await engine.close()
  return run
}

async function open(run: Buffer): Promise<RunFile> {
  return RunFile.over(
    {
      read: async (target, offset) => run.copy(target, 0, offset),
      size: async () => run.length,
      close: async () => undefined,
    },
    "the run",
  )
}

/** Makes every checksum right again. */
function repair(run: Buffer, { layout }: RunFile): void {
  const index = "hashes" in layout.index ? [layout.index.hashes] : [layout.index.fences, layout.index.filter]
  const trailer = run.length - TRAILER_BYTES
  const directory = trailer - (index.length + 1) * ENTRY_BYTES
  const seal = (place: number, section: { offset: number; bytes: number }): void => {
    const content = run.subarray(section.offset, section.offset + section.bytes)
    run.writeUInt32LE(crc32(content), directory + place * ENTRY_BYTES + 4)
  }
  for (const [i, section] of index.entries()) seal(i, section)
  const { offset, bytes: checksumBytes } = layout.checksums
  for (let i = 0; i * 4 < checksumBytes; i++) {
    const block = run.subarray(i * BLOCK_BYTES, Math.min((i + 1) * BLOCK_BYTES, offset))
    run.writeUInt32LE(crc32(block), offset + i * 4)
  }
  seal(index.length, layout.checksums)
  run.writeUInt32LE(crc32(run.subarray(directory, trailer)), trailer + 68)
  run.writeUInt32LE(crc32(run.subarray(trailer, trailer + 88)), trailer + 88)
}

/** What `verifyRun` finds in the run after `change`; undefined: nothing. */
async function damageAfter(
  name: EngineName,
  change: (run: Buffer, file: RunFile) => void,
): Promise<string | undefined> {
  const run = await makeRun(name)
  const file = await open(run)
  change(run, file)
  repair(run, file)
  try {
    await verifyRun(await open(run))
    return undefined
  } catch (error) {
    expect(error).toMatchObject({ reason: "DATA_LOSS" })
    return (error as Error).message
  }
}

const trailerOf = (run: Buffer): number => run.length - TRAILER_BYTES

describe.each(["memory", "append-log", "hybrid-log", "lsm-tree"] as const)("%s", (name) => {
  test("a run that is whole is proven", async () => {
    expect(await damageAfter(name, () => undefined)).toBeUndefined()
  })
})

test.each<[string, (run: Buffer, hashes: number) => void]>([
  ["hash entry 3 is not that of its record", (run, hashes) => run.writeUInt32LE(7, hashes + 3 * 12)],
  ["bad tombstone count", (run) => run.writeUInt8(2, trailerOf(run) + 32)],
  ["bad tombstone mark in hash entry", (run, hashes) => swapMarks(run, hashes)],
  ["list a record that is not there", (run, hashes) => run.writeUInt8(run[hashes + 6]! + 1, hashes + 6)],
  ["hash entry 5 is not that of its record", (run) => run.write("x", run.indexOf("key:15"))],
])("hashed run: %s", async (what, change) => {
  const damage = await damageAfter("append-log", (run, { layout }) => {
    change(run, (layout.index as { hashes: { offset: number } }).hashes.offset)
  })
  expect(damage).toContain(what)
})

test.each<[string, (run: Buffer) => void]>([
  ["is not above the one before it", (run) => run.write("key:12", run.indexOf("key:13"))],
  ["its index does not find the record", (run) => run.write("key:1A", run.indexOf("key:19"))],
  ["bad record count", (run) => run.writeUInt8(38, trailerOf(run) + 24)],
  ["bad tombstone count", (run) => run.writeUInt8(2, trailerOf(run) + 32)],
])("sorted run: %s", async (what, change) => {
  expect(await damageAfter("lsm-tree", change)).toContain(what)
})

/** Takes the mark of the deleted record away and gives it to the first one. */
function swapMarks(run: Buffer, hashes: number): void {
  const marks = (run.length - hashes) / 12
  for (let i = 1; i < marks; i++) {
    const at = hashes + i * 12 + 11
    if ((run[at]! & 0x80) === 0) continue
    run[at]! &= 0x7f
    run[hashes + 11]! |= 0x80
    return
  }
}
