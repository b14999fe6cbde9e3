// Merging against a model: the newest record of each key stays, with its bytes, and everybody hears where it went.

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert"
import {
  encodeRecord,
  InlineExecutor,
  isEngineError,
  type MergeOutput,
  mergeRuns,
  movedRecords,
  RELOCATION_DROPPED,
  type Relocations,
  RunFile,
  SystemClock,
} from "@varve/engines/internal"
import { test } from "vitest"
import { SimulatedCrash, SimulatedFileSystem, SimulatedRandom } from "../simulation/index.ts"
import { originOf, scanRun, spreadHash, type TestHash, type TestRecord, writeRun } from "./fixture.ts"

const DIRECTORY = "/runs"
const OUTPUT = `${DIRECTORY}/L1.100.1.run`

interface Merge {
  readonly disk: SimulatedFileSystem
  /** Newest first. */
  readonly inputs: readonly TestRecord[][]
  readonly hash?: TestHash
  readonly dropsTombstones?: boolean
}

function pathOf(input: number): string {
  return `${DIRECTORY}/L0.${50 - input}.1.run`
}

async function merge({
  disk,
  inputs,
  hash = spreadHash,
  dropsTombstones = false,
}: Merge): Promise<MergeOutput> {
  await disk.makeDirectory(DIRECTORY)
  for (const [i, records] of inputs.entries())
    await writeRun(disk, pathOf(i), originOf(50 - i), records, { hash })
  return runJob(disk, inputs.length, dropsTombstones)
}

async function runJob(
  disk: SimulatedFileSystem,
  count: number,
  dropsTombstones: boolean,
): Promise<MergeOutput> {
  const executor = new InlineExecutor({
    fileSystem: disk,
    clock: new SystemClock(),
    random: new SimulatedRandom(1),
  })
  try {
    return await executor.run(mergeRuns, {
      inputs: Array.from({ length: count }, (_, i) => pathOf(i)),
      output: originOf(100, 1),
      outputPath: OUTPUT,
      dropsTombstones,
    })
  } finally {
    await executor.close()
  }
}

async function recordsOf(disk: SimulatedFileSystem): Promise<TestRecord[]> {
  const run = await RunFile.open(disk, OUTPUT)
  try {
    return await scanRun(run)
  } finally {
    await run.close()
  }
}

interface Moved {
  readonly h1: number
  readonly h2: number
  readonly isTombstone: boolean
  readonly input: number
  readonly inputOffset: number
  readonly outputOffset: number
}

/** Where records went, read from the files of a merge of `count` inputs. */
async function movedOf(disk: SimulatedFileSystem, count: number, relocations: Relocations): Promise<Moved[]> {
  const runs: RunFile[] = []
  try {
    for (let i = 0; i < count; i++) runs.push(await RunFile.open(disk, pathOf(i)))
    const output = await RunFile.open(disk, OUTPUT)
    runs.push(output)
    const moved: Moved[] = []
    for await (const page of movedRecords(runs.slice(0, count), output, relocations)) {
      for (let i = 0; i < page.count; i++) {
        moved.push({
          h1: page.h1[i]!,
          h2: page.h2[i]!,
          isTombstone: page.tombstone[i] === 1,
          input: page.input,
          inputOffset: page.inputOffset[i]!,
          outputOffset: page.outputOffset[i]!,
        })
      }
    }
    return moved
  } finally {
    for (const run of runs) await run.close()
  }
}

/** What must be left: oldest input first, in file order, of each key only the newest record. */
function liveOf(inputs: readonly TestRecord[][]): (TestRecord & { input: number; index: number })[] {
  const all = inputs.flatMap((records, input) =>
    records.map((record, index) => ({ ...record, input, index })),
  )
  const newest = new Map<string, { input: number; index: number }>()
  for (const record of all) {
    const other = newest.get(record.key)
    if (other === undefined || other.input === record.input) newest.set(record.key, record)
  }
  return all
    .filter((record) => newest.get(record.key) === record)
    .sort((a, b) => b.input - a.input || a.index - b.index)
}

function bytesOf({ key, value }: TestRecord): Buffer {
  return Buffer.from(encodeRecord(Buffer.from(key), Buffer.from(value)))
}

const hashes: Record<string, TestHash> = {
  spread: spreadHash,
  "all equal": () => ({ h1: 7, h2: 7 }),
  "some equal": (key) => ({ h1: 7, h2: key.at(-1)! }),
}

for (const [name, hash] of Object.entries(hashes)) {
  for (const dropsTombstones of [false, true]) {
    test(`merge: as the model, hashes ${name}, tombstones ${dropsTombstones ? "dropped" : "kept"}`, async () => {
      for (let seed = 1; seed <= 12; seed++) {
        const random = new SimulatedRandom(seed)
        const inputs = Array.from({ length: 2 + random.integer(4) }, () =>
          Array.from({ length: random.integer(200) }, () => ({
            key: `key-${random.integer(150)}`,
            value: random.integer(4) === 0 ? "" : "v".repeat(random.integer(60)) + random.integer(1000),
          })),
        )
        const disk = new SimulatedFileSystem({ seed })
        const { figures, relocations } = await merge({ disk, inputs, hash, dropsTombstones })
        const live = liveOf(inputs)
        const kept = live.filter((record) => !dropsTombstones || record.value !== "")
        deepStrictEqual(
          Buffer.from(disk.bytesOf(OUTPUT).subarray(0, figures.recordsBytes)),
          Buffer.concat(kept.map(bytesOf)),
          `seed ${seed}`,
        )
        deepStrictEqual((await recordsOf(disk)).length, kept.length, `seed ${seed}`)
        const moved = await movedOf(disk, inputs.length, relocations)
        let end = 0
        const expected = live.map((record) => {
          const isTombstone = record.value === ""
          const before = inputs[record.input]!.slice(0, record.index)
          const outputOffset = isTombstone && dropsTombstones ? RELOCATION_DROPPED : end
          if (outputOffset >= 0) end += bytesOf(record).length
          return {
            ...hash(Buffer.from(record.key)),
            isTombstone,
            input: record.input,
            inputOffset: before.reduce((bytes, one) => bytes + bytesOf(one).length, 0),
            outputOffset,
          }
        })
        deepStrictEqual(moved, expected, `seed ${seed}`)
        strictEqual(disk.openPaths.length, 0)
      }
    })
  }
}

test("merge: the same inputs give the same bytes", async () => {
  const inputs = [
    [{ key: "a", value: "2" }],
    [
      { key: "a", value: "1" },
      { key: "b", value: "1" },
    ],
  ]
  const [one, two] = [new SimulatedFileSystem({ seed: 1 }), new SimulatedFileSystem({ seed: 2 })]
  await merge({ disk: one, inputs })
  await merge({ disk: two, inputs })
  deepStrictEqual(one.bytesOf(OUTPUT), two.bytesOf(OUTPUT))
})

test("merge: when only tombstones are left and they may go, the output is a run without records", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const inputs = [[{ key: "a", value: "" }], [{ key: "a", value: "1" }]]
  const { figures, relocations } = await merge({ disk, inputs, dropsTombstones: true })
  strictEqual(figures.recordCount, 0)
  deepStrictEqual(
    (await movedOf(disk, 2, relocations)).map(({ outputOffset }) => outputOffset),
    [RELOCATION_DROPPED],
  )
  deepStrictEqual(await recordsOf(disk), [])
})

test("merge: records of 4 MiB", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const big = (letter: string): string => letter.repeat(4 * 1024 * 1024)
  const inputs = [
    [
      { key: "a", value: big("x") },
      { key: "s", value: "small" },
    ],
    [
      { key: "b", value: big("y") },
      { key: "a", value: big("z") },
    ],
  ]
  await merge({ disk, inputs })
  const records = await recordsOf(disk)
  deepStrictEqual(
    records.map(({ key, value }) => key + value[0] + value.length),
    ["by4194304", "ax4194304", "ss5"],
  )
})

test("merge: keys that fill more than one arena are compared in several passes", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  const keys = Array.from({ length: 600 }, (_, i) => String(i).padStart(65_535, "k"))
  const inputs = [0, 1].map((input) => keys.map((key) => ({ key, value: `${input}` })))
  const { figures, relocations } = await merge({ disk, inputs })
  strictEqual(figures.recordCount, keys.length)
  ok((await movedOf(disk, 2, relocations)).every(({ input }) => input === 0))
})

test("merge: a damaged input is DATA_LOSS, and nothing is left", async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  await disk.makeDirectory(DIRECTORY)
  for (const i of [0, 1]) await writeRun(disk, pathOf(i), originOf(50 - i), [{ key: "a", value: `${i}` }])
  disk.flip(pathOf(1), 25)
  await rejects(
    runJob(disk, 2, false),
    (error) => isEngineError(error, "DATA_LOSS") && error.message.includes(pathOf(1)),
  )
  deepStrictEqual(disk.paths(), [pathOf(1), pathOf(0)].sort())
  strictEqual(disk.openPaths.length, 0)
})

test("merge: a crash at any call leaves the inputs, and the whole output or none", async () => {
  const inputs = [
    [
      { key: "a", value: "2" },
      { key: "c", value: "" },
    ],
    [
      { key: "a", value: "1" },
      { key: "b", value: "1" },
    ],
  ]
  for (let step = 1; ; step++) {
    const disk = new SimulatedFileSystem({ seed: step })
    await disk.makeDirectory(DIRECTORY)
    for (const i of [0, 1]) await writeRun(disk, pathOf(i), originOf(50 - i), inputs[i]!)
    disk.crashAt(disk.steps + step)
    const output = await runJob(disk, 2, false).catch((error: unknown) => {
      ok(error instanceof SimulatedCrash, String(error))
      return undefined
    })
    const after = disk.restart()
    for (const i of [0, 1]) ok(after.paths().includes(pathOf(i)), `step ${step}`)
    if (output !== undefined || after.paths().includes(OUTPUT)) {
      deepStrictEqual(
        (await recordsOf(after)).map(({ key, value }) => key + value),
        ["b1", "a2", "c"],
        `step ${step}`,
      )
    }
    if (output !== undefined) return
  }
})
