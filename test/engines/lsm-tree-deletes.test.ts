// A deleted key never comes back: thousands of steps, half of them deletes, through flushes, merges by both policies,
// versions, restores of older ones, clean stops and power loss. What is on disk often holds a deleted key's values
// many times over; no read and no scan may meet one.

import type { Engine } from "@varve/engines"
import { expect, test } from "vitest"
import { SimulatedRandom, type SimulatedSeams, seedsUpTo, simulatedSeams } from "../simulation/index.ts"
import { afterPowerLoss, bytes, contents, openTiny, read } from "./engine-fixture.ts"

type State = ReadonlyMap<string, string>

const STEPS = 2000
/** By runs a level; levelling needs more than 40 KiB of records to reach level 2. */
const keysOf = { 1: 500, 2: 120 } as const
/** How often a number is repeated in a value. */
const repeatsOf = { 1: 60, 2: 20 } as const
const SEEDS = seedsUpTo(1)

async function open(seams: SimulatedSeams, maxRunsPerLevel: number): Promise<Engine> {
  return openTiny("lsm-tree", seams, { memtableBytesLimit: 4096, densityFactor: 3, maxRunsPerLevel })
}

test.each(([1, 2] as const).flatMap((runs) => SEEDS.map((seed) => [runs, seed] as const)))(
  "lsm-tree: no deleted key comes back, %i runs a level, seed %i",
  { timeout: 60_000 },
  async (maxRunsPerLevel, seed) => {
    const random = new SimulatedRandom(seed)
    let seams = simulatedSeams(seed)
    let engine = await open(seams, maxRunsPerLevel)
    let present = new Map<string, string>()
    let version = 0
    let mergeCount = 0
    const versions = new Map<string, State>()

    const write = async (): Promise<void> => {
      const key = `key:${random.integer(keysOf[maxRunsPerLevel])}`
      const value = random.oneIn(2)
        ? ""
        : `${random.next()}`.repeat(1 + random.integer(repeatsOf[maxRunsPerLevel]))
      if (value === "") present.delete(key)
      else present.set(key, value)
      await engine.set(bytes(key), bytes(value))
    }
    const compare = async (): Promise<void> => {
      const found = await contents(engine)
      expect([...found]).toEqual([...present].sort(([a], [b]) => (a < b ? -1 : 1)))
    }
    const reopened = async (): Promise<void> => {
      mergeCount += engine.statistics().mergeCount
      seams = afterPowerLoss(seams, random.next())
      engine = await open(seams, maxRunsPerLevel)
    }

    const step = async (): Promise<void> => {
      const dice = random.integer(1000)
      if (dice < 800) await write()
      else if (dice < 900) {
        const key = `key:${random.integer(keysOf[maxRunsPerLevel])}`
        expect(await read(engine, key)).toBe(present.get(key))
      } else if (dice < 930) await compare()
      else if (dice < 970) {
        const state = new Map(present)
        version++
        const { timeline } = await engine.snapshot({ version })
        versions.set(`${timeline}/${version}`, state)
      } else if (dice < 985 && versions.size > 0) {
        const name = random.pick([...versions.keys()])
        const [timeline, number] = name.split("/") as [string, string]
        await engine.restore({ version: Number(number), timeline })
        version = Number(number)
        present = new Map(versions.get(name))
        await compare()
      } else if (dice < 993) {
        await engine.close()
        await reopened()
        await compare()
      } else {
        await reopened()
        const { timeline, version: number } = engine.position
        present = new Map(versions.get(`${timeline}/${number}`))
        version = number
        await compare()
      }
    }

    for (let i = 0; i < STEPS; i++) {
      try {
        await step()
      } catch (error) {
        throw new Error(
          `${maxRunsPerLevel} runs a level, seed ${seed}, step ${i}: ${(error as Error).message}`,
          {
            cause: error,
          },
        )
      }
    }
    await compare()
    mergeCount += engine.statistics().mergeCount
    expect(mergeCount).toBeGreaterThan(10)
    await engine.close()
    expect(seams.fileSystem.openPaths).toEqual([])
  },
)
