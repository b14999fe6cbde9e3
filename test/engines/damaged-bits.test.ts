// Bits of every file of a partition and its repository turn over, one at a time; an engine then comes up, answers for
// every key, scans, makes a version and restores each one. No answer is wrong: see damaged-world.ts.
//
// All bits take minutes for each engine: `VARVE_BITS_A_FLIP=1 npx vitest run test/engines/damaged-bits.test.ts`.
// Otherwise they are a sample from a seed; each part of each format is also tested bit by bit where it is decoded.

import { engineNames } from "@varve/engines"
import { afterEach, beforeEach, expect, test } from "vitest"
import { SimulatedRandom } from "../simulation/index.ts"
import { buildWorld, copyOf, durabilities, liveElsewhere, liveWithDamage, Tally } from "./damaged-world.ts"

/** One bit of so many turns over, by chance. */
const BITS_A_FLIP = Number(process.env["VARVE_BITS_A_FLIP"] ?? 401)
const SEED = 1

/** Rejections that nobody has handled. */
const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)
beforeEach(() => void process.on("unhandledRejection", note))
afterEach(() => {
  process.off("unhandledRejection", note)
  expect(unhandled.splice(0)).toEqual([])
})

test.each(engineNames.flatMap((name) => durabilities.map((durability) => [name, durability] as const)))(
  "%s, durability %s: a bit that turned over is found, and no answer is wrong",
  { timeout: BITS_A_FLIP < 50 ? 3_600_000 : 60_000 },
  async (name, durability) => {
    const world = await buildWorld(name, durability)
    const random = new SimulatedRandom(SEED)
    const undamaged = new Tally()
    await liveWithDamage(world, copyOf(world), undamaged)
    await liveElsewhere(world, copyOf(world), undamaged)
    expect(undamaged.refused).toEqual({ DATA_LOSS: 0, FORMAT_NEWER: 0 })
    const tally = new Tally()
    for (const path of world.paths) {
      const bitCount = world.disk.bytesOf(path).length * 8
      for (let first = 0; first < bitCount; first += BITS_A_FLIP) {
        const bit = Math.min(first + random.integer(BITS_A_FLIP), bitCount - 1)
        const disk = copyOf(world)
        disk.flip(path, bit)
        try {
          // What the repository holds is read most where nothing else is left.
          const live = path.startsWith("/repository/") && random.oneIn(2) ? liveElsewhere : liveWithDamage
          await live(world, disk, tally)
        } catch (error) {
          const message = `${name}, ${durability}, bit ${bit % 8} of byte ${Math.floor(bit / 8)} of ${path}: ${(error as Error).message}`
          throw new Error(message, { cause: error })
        }
      }
    }
    expect(tally.refused.DATA_LOSS).toBeGreaterThan(tally.lives / 2)
    process.stdout.write(`${name}, ${durability}: ${world.paths.length} files, ${tally}\n`)
  },
)
