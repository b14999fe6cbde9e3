// A sorted run from the first byte to the last: what was written is found by its key and met in order, and no damaged
// byte ever is.

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert"
import {
  decodeRecord,
  encodeRecord,
  type FileSystem,
  InlineExecutor,
  isEngineError,
  KeyHasher,
  mergeSortedRuns,
  RecordCursor,
  RecordStream,
  type RunFigures,
  RunFile,
  recordSource,
  SortedRunWriter,
  SystemClock,
} from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedFileSystem, SimulatedRandom } from "../simulation/index.ts"
import { originOf, type TestRecord } from "./fixture.ts"

const DIRECTORY = "/runs"
const PATH = `${DIRECTORY}/L0.1.1.run`
const BLOCK_BYTES = 4096
const SHAPE = { densityFactor: 4, bloomFalsePositiveRate: 0.01 }

async function makeDisk(seed = 1): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem({ seed })
  await disk.makeDirectory(DIRECTORY)
  return disk
}

function inOrder(records: readonly TestRecord[]): TestRecord[] {
  return [...records].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
}

async function writeSorted(
  disk: FileSystem,
  records: readonly TestRecord[],
  { path = PATH, run = 1, shape = SHAPE } = {},
): Promise<RunFigures> {
  const writer = await SortedRunWriter.create(disk, path, originOf(run), shape)
  const cursor = new RecordCursor()
  for (const { key, value } of records) {
    const record = Buffer.from(encodeRecord(Buffer.from(key), Buffer.from(value)))
    decodeRecord(record, 0, record.length, cursor)
    const pending = writer.add(recordSource(record), cursor)
    if (pending !== undefined) await pending
  }
  return writer.finish()
}

async function withRun<T>(disk: FileSystem, use: (run: RunFile) => Promise<T>, path = PATH): Promise<T> {
  const run = await RunFile.open(disk, path)
  try {
    await run.readIndex()
    return await use(run)
  } finally {
    await run.close()
  }
}

async function readStream(run: RunFile, windowBlocks: number, offset = 0): Promise<TestRecord[]> {
  const stream = new RecordStream(run, windowBlocks, offset)
  const records: TestRecord[] = []
  while (await stream.advance()) {
    const { bytes, cursor } = stream
    records.push({
      key: bytes.toString("utf8", cursor.keyStart, cursor.keyEnd),
      value: bytes.toString("utf8", cursor.valueStart, cursor.end),
    })
  }
  return records
}

/** The first record at or behind where the key's data block starts, as long as it lies in that block. */
async function find(run: RunFile, key: string): Promise<TestRecord | undefined> {
  const { filter, fences } = run.sortedIndex!
  const bytes = Buffer.from(key)
  const hasher = new KeyHasher(run.hashSeed)
  hasher.hash(bytes, 0, bytes.length)
  if (!filter.mayHold(hasher.h1, hasher.h2)) return undefined
  const block = fences.find(bytes, 0, bytes.length)
  const records = await readStream(run, 1, fences.start(block))
  return records.slice(0, 64).find((record) => record.key === key)
}

/** Records of all lengths around a block and beyond, tombstones between them, keys that are prefixes of others. */
const mixed = inOrder([
  ...Array.from({ length: 3000 }, (_, i) => ({
    key: `key-${i}`,
    value: i % 7 === 0 ? "" : `value ${i}`.repeat(i % 9),
  })),
  ...[3000, 4070, 4080, 4090, 4100, 8192, 70_000].map((bytes) => ({
    key: `key-1${bytes}x`,
    value: "b".repeat(bytes),
  })),
  { key: "over a window", value: "w".repeat(3 * 1024 * 1024) },
  { key: "k".repeat(65_535), value: "" },
  { key: "\0", value: "zero" },
  { key: "\0\0", value: "zeros" },
])

test("sorted run: records come back in order, through windows of any length", async () => {
  const disk = await makeDisk()
  const figures = await writeSorted(disk, mixed)
  strictEqual(figures.recordCount, mixed.length)
  strictEqual(figures.tombstoneCount, mixed.filter(({ value }) => value === "").length)
  strictEqual(figures.bytes, disk.bytesOf(PATH).length)
  await withRun(disk, async (run) => {
    for (const blocks of [1, 3, 256]) ok(isSame(await readStream(run, blocks), mixed), `${blocks} blocks`)
  })
})

test("sorted run: a data block has no more records than the density factor, and crosses no border but with one", async () => {
  const disk = await makeDisk()
  await writeSorted(disk, mixed)
  await withRun(disk, async (run) => {
    const { fences } = run.sortedIndex!
    ok(fences.count > mixed.length / SHAPE.densityFactor)
    const bytes = disk.bytesOf(PATH)
    const cursor = new RecordCursor()
    for (let i = 0; i < fences.count; i++) {
      let at = fences.start(i)
      let count = 0
      for (; at < fences.end(i) && bytes[at] !== 0; at = cursor.end, count++) {
        ok(decodeRecord(bytes, at, fences.end(i), cursor))
      }
      strictEqual(at, fences.end(i), "no padding")
      ok(count >= 1 && count <= SHAPE.densityFactor, `data block ${i} has ${count} records`)
      const isCrossing = Math.floor(fences.start(i) / BLOCK_BYTES) !== Math.floor((at - 1) / BLOCK_BYTES)
      ok(!isCrossing || count === 1, `data block ${i} crosses a border`)
    }
  })
})

test("sorted run: every key is found by filter and fences, others nearly never pass the filter", async () => {
  const disk = await makeDisk()
  const few = mixed.filter((_, i) => i % 10 === 0)
  await writeSorted(disk, few)
  await withRun(disk, async (run) => {
    for (const record of few.slice(0, 60)) deepStrictEqual(await find(run, record.key), record)
    const { filter, fences } = run.sortedIndex!
    const hasher = new KeyHasher(run.hashSeed)
    let passed = 0
    for (let i = 0; i < 20_000; i++) {
      const key = Buffer.from(`absent ${i}`)
      hasher.hash(key, 0, key.length)
      if (filter.mayHold(hasher.h1, hasher.h2)) passed++
    }
    ok(passed < 20_000 * 0.02, `${passed} of 20000 absent keys passed`)
    // The block of a key is the last one whose first key is not above it.
    const starts = Array.from({ length: fences.count }, (_, i) => fences.start(i))
    const firstKeys = await Promise.all(starts.map(async (start) => (await firstRecord(run, start)).key))
    const probes = [
      ...few.map(({ key }) => key),
      "",
      "\0",
      "a",
      "key",
      "key-15",
      "key-2",
      "kk",
      "zzzz",
      "key-1\0",
    ]
    for (const probe of probes) {
      const bytes = Buffer.from(probe)
      const block = fences.find(bytes, 0, bytes.length)
      const isHeld = few.some(({ key }) => key === probe)
      // A key that is not here may lie before the first one of its block: above the fence, below the key.
      const next = firstKeys[block + 1]
      if (next !== undefined) ok(Buffer.compare(Buffer.from(next), bytes) > 0, probe)
      if (isHeld) ok(Buffer.compare(Buffer.from(firstKeys[block]!), bytes) <= 0, probe)
    }
  })
})

async function firstRecord(run: RunFile, offset: number): Promise<TestRecord> {
  const stream = new RecordStream(run, 1, offset)
  ok(await stream.advance())
  return { key: stream.bytes.toString("utf8", stream.cursor.keyStart, stream.cursor.keyEnd), value: "" }
}

test("sorted run: one without records opens, is empty, and its filter lets nothing pass", async () => {
  const disk = await makeDisk()
  await writeSorted(disk, [])
  await withRun(disk, async (run) => {
    deepStrictEqual(await readStream(run, 1), [])
    strictEqual(run.sortedIndex!.filter.mayHold(1, 1), false)
  })
})

const few: TestRecord[] = [
  { key: "a", value: "xyz" },
  { key: "b", value: "" },
  { key: "bc", value: "w" },
]

test("sorted run: bytes on disk are pinned", async () => {
  const disk = await makeDisk()
  await writeSorted(disk, few, { shape: { ...SHAPE, densityFactor: 2 } })
  expect(Buffer.from(disk.bytesOf(PATH)).toString("hex")).toMatchInlineSnapshot(
    `"0103006178797a0100006202010062637700000000000000000b0000000000020062631d0000000000000006000000000000008fbc101f129ed2ad03000000f6c582b61100000000000000120000000000000004000000582dcb0823000000000000001400000000000000020000003aadb0373700000000000000040000000000000000000000000000000000000000000001110000000000000003000000000000000100000000000000010000000000000001000000000000000100000000100000000003007394aa8b00000000000000000000000001000000f78c44475652554e"`,
  )
})

/** Opens and reads all there is: true, or false when it was refused. */
async function readAll(disk: FileSystem, expected: readonly TestRecord[]): Promise<boolean> {
  try {
    return await withRun(disk, async (run) => {
      ok(isSame(await readStream(run, 1), expected), "wrong records")
      for (const record of expected) deepStrictEqual(await find(run, record.key), record)
      return true
    })
  } catch (error) {
    if (isEngineError(error, "DATA_LOSS") || isEngineError(error, "FORMAT_NEWER")) return false
    throw error
  }
}

test("sorted run: every single-bit change and every truncation is refused", async () => {
  const disk = await makeDisk()
  const { bytes } = await writeSorted(disk, few, { shape: { ...SHAPE, densityFactor: 2 } })
  ok(await readAll(disk, few))
  for (let bit = 0; bit < bytes * 8; bit++) {
    disk.flip(PATH, bit)
    strictEqual(await readAll(disk, few), false, `bit ${bit}`)
    disk.flip(PATH, bit)
  }
  ok(await readAll(disk, few))
  for (let length = bytes - 1; length >= 0; length--) {
    disk.truncate(PATH, length)
    strictEqual(await readAll(disk, few), false, `${length} bytes`)
  }
})

test("sorted run: records out of order are a bug of the writer, and stop it", async () => {
  const disk = await makeDisk()
  for (const densityFactor of [1, 8]) {
    for (const keys of [
      ["b", "a"],
      ["a", "a"],
      ["ab", "a"],
    ]) {
      const shape = { ...SHAPE, densityFactor }
      await rejects(
        writeSorted(
          disk,
          keys.map((key) => ({ key, value: "1" })),
          { shape },
        ),
        /order of their keys/,
      )
    }
  }
})

async function merge(
  disk: SimulatedFileSystem,
  inputs: readonly (readonly TestRecord[])[],
  dropsTombstones: boolean,
): Promise<TestRecord[]> {
  const paths = inputs.map((_, i) => `${DIRECTORY}/L0.${50 - i}.1.run`)
  for (const [i, records] of inputs.entries())
    await writeSorted(disk, records, { path: paths[i]!, run: 50 - i })
  const executor = new InlineExecutor({
    fileSystem: disk,
    clock: new SystemClock(),
    random: new SimulatedRandom(1),
  })
  const outputPath = `${DIRECTORY}/L1.100.1.run`
  try {
    const { figures } = await executor.run(mergeSortedRuns, {
      inputs: paths,
      output: originOf(100, 1),
      outputPath,
      dropsTombstones,
      shape: SHAPE,
    })
    const records = await withRun(disk, (run) => readStream(run, 2), outputPath)
    strictEqual(figures.recordCount, records.length)
    return records
  } finally {
    await executor.close()
    strictEqual(disk.openPaths.length, 0)
  }
}

test("sorted merge: as the model, tombstones kept and dropped", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SimulatedRandom(seed)
    const inputs = Array.from({ length: 2 + random.integer(6) }, () => {
      const records = new Map<string, string>()
      for (let i = random.integer(150); i > 0; i--) {
        const value = random.oneIn(4) ? "" : "v".repeat(random.integer(300)) + random.integer(1000)
        records.set(`key-${random.integer(120)}`, value)
      }
      return inOrder([...records].map(([key, value]) => ({ key, value })))
    })
    const model = new Map<string, string>()
    for (const records of [...inputs].reverse()) for (const { key, value } of records) model.set(key, value)
    const all = inOrder([...model].map(([key, value]) => ({ key, value })))
    for (const dropsTombstones of [false, true]) {
      const expected = all.filter(({ value }) => !dropsTombstones || value !== "")
      deepStrictEqual(await merge(await makeDisk(seed), inputs, dropsTombstones), expected, `seed ${seed}`)
    }
  }
})

test("sorted merge: a damaged input is DATA_LOSS, and nothing is left", async () => {
  const disk = await makeDisk()
  const inputs = [few, mixed]
  await merge(disk, inputs, false)
  await disk.remove(`${DIRECTORY}/L1.100.1.run`)
  const before = disk.paths()
  disk.flip(`${DIRECTORY}/L0.49.1.run`, 8 * 100_000)
  const executor = new InlineExecutor({
    fileSystem: disk,
    clock: new SystemClock(),
    random: new SimulatedRandom(1),
  })
  const input = {
    inputs: [50, 49].map((run) => `${DIRECTORY}/L0.${run}.1.run`),
    output: originOf(100, 1),
    outputPath: `${DIRECTORY}/L1.100.1.run`,
    dropsTombstones: false,
    shape: SHAPE,
  }
  await rejects(executor.run(mergeSortedRuns, input), (error) => isEngineError(error, "DATA_LOSS"))
  await executor.close()
  deepStrictEqual(disk.paths(), before)
  strictEqual(disk.openPaths.length, 0)
})

function isSame(a: readonly TestRecord[], b: readonly TestRecord[]): boolean {
  return (
    a.length === b.length && a.every((record, i) => record.key === b[i]!.key && record.value === b[i]!.value)
  )
}
