// Overwrites of many keys whose records are on disk: the old records' keys are compared by a job, many at a time, and
// keys that share a hash are told apart there too.

import { deepStrictEqual } from "node:assert"
import type { Engine } from "@varve/engines"
import { compareKeys, EngineError, type Executor, type Job, type Random } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { originOf, type TestRecord, writeRun } from "../runs/fixture.ts"
import { SimulatedRandom, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { bytes, contents, openTiny, read } from "./engine-fixture.ts"

/** Two keys with the same hash under the seed 1; see hash-collisions.test.ts. */
const pairs = [
  ["k007072862", "k020413665"],
  ["k019074631", "k047176831"],
] as const
const KEYS = 700

/** Hash seeds are four random bytes: here always the same. */
function fixedHashSeed(random: Random): Random {
  return { bytes: (count) => (count === 4 ? Uint8Array.of(1, 0, 0, 0) : random.bytes(count)) }
}

/** Counts the records that jobs are asked to compare, and may refuse to. */
class CountingExecutor implements Executor {
  readonly #inner: Executor
  isRefusing = false
  comparedCount = 0

  constructor(inner: Executor) {
    this.#inner = inner
  }

  async run<Input, Output>(
    job: Job<Input, Output>,
    input: Input,
    transfer: readonly ArrayBuffer[] = [],
    signal?: AbortSignal,
  ): Promise<Output> {
    if (job.name === compareKeys.name) {
      this.comparedCount += (input as { readonly offset: Float64Array }).offset.length
      if (this.isRefusing) throw new EngineError("STORAGE_FAILED", "the thread has died")
    }
    return await this.#inner.run(job, input, transfer, signal)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

const settings = {
  "append-log": { threshold: 64 * 1024, maxRunsPerLevel: 2 },
  "hybrid-log": { memSegmentLength: 4096, roLagInterval: 65_536, flushInterval: 16_384, maxRunsPerLevel: 2 },
}

async function fill(engine: Engine): Promise<void> {
  for (let i = 0; i < 250; i++) await engine.set(bytes(`filler ${i}`), Buffer.alloc(2000, "x"))
}

describe.each(["append-log", "hybrid-log"] as const)("%s", (name) => {
  async function overwriteCold(seams: SimulatedSeams, executor: CountingExecutor): Promise<void> {
    const random = fixedHashSeed(seams.random)
    const engine = await openTiny(name, { ...seams, random, executor }, settings[name])
    const model = new Map<string, string>()
    const write = async (keys: readonly string[], value: string): Promise<void> => {
      await engine.write(keys.map((key) => ({ key: bytes(key), value: bytes(value) })))
      for (const key of keys) model.set(key, value)
    }
    const keys = Array.from({ length: KEYS }, (_, i) => `key ${i}`)
    await write([...keys, ...pairs.map(([a]) => a)], "old")
    await fill(engine)
    await write([...keys.slice(100), ...pairs.map(([, b]) => b)], "new")
    for (let i = 0; i < 250; i++) model.set(`filler ${i}`, "x".repeat(2000))
    for (const [a, b] of pairs) {
      expect(await read(engine, a)).toBe("old")
      expect(await read(engine, b)).toBe("new")
    }
    await engine.snapshot({ version: 1 })
    expect(await contents(engine)).toEqual(model)
    expect(engine.statistics().recordCount).toBe(model.size)
    // Those that share a hash are known apart from now on: they follow merges, and come back with the version.
    await fill(engine)
    await engine.restore({ version: 1 })
    expect(await contents(engine)).toEqual(model)
    await engine.close()
  }

  test("keys on disk that are overwritten by the hundred are compared by a job; colliding ones stay apart", async () => {
    const seams = simulatedSeams(1)
    const executor = new CountingExecutor(seams.executor)
    await overwriteCold(seams, executor)
    expect(executor.comparedCount).toBeGreaterThanOrEqual(KEYS - 100)
  })

  test("when jobs cannot compare them they are compared all the same", async () => {
    const seams = simulatedSeams(1)
    const executor = new CountingExecutor(seams.executor)
    executor.isRefusing = true
    await overwriteCold(seams, executor)
    expect(executor.comparedCount).toBeGreaterThan(0)
  })
})

test.each([1, 2, 3, 4])(
  "the job names exactly the records that have another key, near and far, long and short, seed %i",
  async (seed) => {
    const random = new SimulatedRandom(seed)
    const { fileSystem, executor } = simulatedSeams(seed)
    await fileSystem.makeDirectory("/runs")
    const entries: { run: number; offset: number; key: string; isSame: boolean }[] = []
    const paths = ["/runs/L0.1.1.run", "/runs/L0.2.1.run"]
    for (const [run, path] of paths.entries()) {
      const records: TestRecord[] = []
      let offset = 0
      const written: number[] = []
      for (let i = 0; i < 400; i++) {
        const key = `${i}`.padEnd(random.oneIn(40) ? 10_000 : 1 + random.integer(200), "k")
        const value = "v".repeat(random.oneIn(60) ? 200_000 : random.integer(3000))
        records.push({ key, value })
        written.push(offset)
        offset += lengthBytes(key.length) + lengthBytes(value.length) + 1 + key.length + value.length
      }
      await writeRun(fileSystem, path, originOf(run + 1), records)
      for (const [i, { key }] of records.entries()) {
        if (random.oneIn(3)) continue
        const other = [`${key}x`, key.slice(0, -1), `x${key.slice(1)}`, "o".repeat(5000)]
        const isSame = !random.oneIn(5)
        entries.push({ run, offset: written[i]!, key: isSame ? key : random.pick(other), isSame })
      }
    }
    // In no order, as writes come.
    for (let i = entries.length - 1; i > 0; i--) {
      const j = random.integer(i + 1)
      ;[entries[i], entries[j]] = [entries[j]!, entries[i]!]
    }
    let end = 0
    const different = await executor.run(compareKeys, {
      paths,
      run: Uint16Array.from(entries, ({ run }) => run),
      offset: Float64Array.from(entries, ({ offset }) => offset),
      keys: Buffer.concat(entries.map(({ key }) => bytes(key))),
      keyEnd: Uint32Array.from(entries, ({ key }) => (end += key.length)),
    })
    deepStrictEqual(
      [...different],
      [...entries.keys()].filter((i) => !entries[i]!.isSame),
    )
    deepStrictEqual(fileSystem.openPaths, [])
  },
)

function lengthBytes(length: number): number {
  return length < 0x80 ? 1 : length < 0x4000 ? 2 : 3
}
