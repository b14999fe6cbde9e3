// Records that are live among several runs: the same, however many slices of the hashes are gone through.

import { deepStrictEqual, strictEqual } from "node:assert"
import { LiveRecords, RunFile } from "@varve/engines/internal"
import { test } from "vitest"
import { SimulatedFileSystem, SimulatedRandom } from "../simulation/index.ts"
import { originOf, spreadHash, type TestRecord, writeRun } from "./fixture.ts"

test("live records: the newest of each key, in one slice and in many", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = new SimulatedRandom(seed)
    const disk = new SimulatedFileSystem({ seed })
    await disk.makeDirectory("/runs")
    const inputs: TestRecord[][] = Array.from({ length: 2 + random.integer(3) }, () =>
      // Each key once in a run, as flushes write them.
      [...new Set(Array.from({ length: random.integer(300) }, () => random.integer(400)))].map((i) => ({
        key: `key-${i}`,
        value: random.oneIn(5) ? "" : `value-${i}`,
      })),
    )
    const runs: RunFile[] = []
    for (const [i, records] of inputs.entries()) {
      const path = `/runs/L0.${50 - i}.1.run`
      await writeRun(disk, path, originOf(50 - i), records, { hash: spreadHash })
      runs.push(await RunFile.open(disk, path))
    }
    const seen = new Set<string>()
    const expected = inputs.map((records) => {
      const live = records.map(({ key }) => !seen.has(key))
      for (const { key } of records) seen.add(key)
      return live
    })
    for (const sliceRecordsMax of [1_000_000, 100, 7]) {
      const live = await LiveRecords.find(runs, sliceRecordsMax)
      const found = inputs.map((records, run) => records.map((_, i) => live.isLive(run, i)))
      deepStrictEqual(found, expected, `seed ${seed}, slices of ${sliceRecordsMax}`)
      const bits = inputs.map((records, run) =>
        records.map((_, i) => (live.bits(run)[i >>> 3]! >> (i & 7)) % 2),
      )
      deepStrictEqual(
        bits,
        expected.map((run) => run.map(Number)),
        `seed ${seed}`,
      )
    }
    for (const run of runs) await run.close()
    strictEqual(disk.openPaths.length, 0)
  }
})
