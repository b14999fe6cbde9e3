// The whole outside world, simulated from one seed.

import { InlineExecutor, type Seams } from "@varve/engines/internal"
import { SimulatedClock } from "./simulated-clock.ts"
import { SimulatedFileSystem } from "./simulated-file-system.ts"
import { SimulatedRandom } from "./simulated-random.ts"

export interface SimulatedSeams extends Seams {
  readonly fileSystem: SimulatedFileSystem
  readonly clock: SimulatedClock
  readonly random: SimulatedRandom
  readonly executor: InlineExecutor
}

/**
 * Seams from `seed`. After a crash, the seams of the next life are `simulatedSeams(seed, { fileSystem:
 * disk.restart() })`. Time advances by itself in sleeps unless a clock is given.
 */
export function simulatedSeams(
  seed: number,
  given: { readonly fileSystem?: SimulatedFileSystem; readonly clock?: SimulatedClock } = {},
): SimulatedSeams {
  const clock = given.clock ?? new SimulatedClock({ autoAdvance: true })
  const fileSystem = given.fileSystem ?? new SimulatedFileSystem({ seed, clock })
  // The next life draws other identities: the disk's seed changes with each restart.
  const random = new SimulatedRandom(seed ^ Math.imul(fileSystem.seed, 0x9e3779b1))
  return { fileSystem, clock, random, executor: new InlineExecutor({ fileSystem, clock, random }) }
}
