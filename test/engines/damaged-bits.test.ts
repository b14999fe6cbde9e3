// Bits of every file of a partition and its repository turn over, one at a time; an engine then comes up, answers for
// every key, scans, makes a version and restores each one. No answer is wrong: see damaged-world.ts.
//
// All bits take minutes for each engine: `VARVE_BITS_A_FLIP=1 npx vitest run test/engines/damaged-bits.test.ts`.
// Otherwise they are a sample from a seed; each part of each format is also tested bit by bit where it is decoded.

import { expect, test } from "vitest"
import { SimulatedRandom } from "../simulation/index.ts"
import {
  buildWorld,
  copyOf,
  EXHAUSTIVE_TIMEOUT_MS,
  liveOn,
  Tally,
  whereFor,
  worlds,
} from "./damaged-world.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"

/** One bit of so many turns over, by chance. */
const BITS_A_FLIP = Number(process.env["VARVE_BITS_A_FLIP"] ?? 1499)
const SEED = 1

expectNoUnhandledRejections()

test.each(worlds)(
  "%s, durability %s: a bit that turned over is found, and no answer is wrong",
  { timeout: BITS_A_FLIP < 50 ? EXHAUSTIVE_TIMEOUT_MS : 60_000 },
  async (name, durability) => {
    const world = await buildWorld(name, durability)
    const random = new SimulatedRandom(SEED)
    const undamaged = new Tally()
    await liveOn(world, copyOf(world), "in place", "nothing damaged", undamaged)
    await liveOn(world, copyOf(world), "elsewhere", "nothing damaged", undamaged)
    expect(undamaged.refused).toEqual({ DATA_LOSS: 0, FORMAT_NEWER: 0 })
    const tally = new Tally()
    for (const path of world.paths) {
      const bitCount = world.disk.bytesOf(path).length * 8
      for (let first = 0; first < bitCount; first += BITS_A_FLIP) {
        const bit = Math.min(first + random.integer(BITS_A_FLIP), bitCount - 1)
        const disk = copyOf(world)
        disk.flip(path, bit)
        const what = `bit ${bit % 8} of byte ${Math.floor(bit / 8)} of ${path}`
        await liveOn(world, disk, whereFor(path, random), what, tally)
      }
    }
    expect(tally.refused.DATA_LOSS).toBeGreaterThan(tally.lives / 2)
    process.stdout.write(`${name}, ${durability}: ${world.paths.length} files, ${tally}\n`)
  },
)
