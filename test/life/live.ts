// One life by its seed, and what is said when it fails.

import type { EngineName } from "@varve/engines"
import { DaemonLife } from "./daemons.ts"
import { Life } from "./life.ts"

/** Of the first and the second machine: the same twice, or two whose versions are converted into one another. */
export type EnginePair = readonly [EngineName, EngineName]

/** What a life had: how often each thing happened. */
export type Counts = ReadonlyMap<string, number>

/** Every engine by itself, and pairs of them; a seed has its pair. */
export const enginePairs: readonly EnginePair[] = [
  ["memory", "memory"],
  ["append-log", "append-log"],
  ["hybrid-log", "hybrid-log"],
  ["lsm-tree", "lsm-tree"],
  ["hybrid-log", "lsm-tree"],
  ["memory", "append-log"],
]

export function pairOf(seed: number): EnginePair {
  return enginePairs[seed % enginePairs.length]!
}

/** In one process. @throws (rejects) with the seed, the step, and the steps before it */
export async function live(seed: number, steps: number): Promise<Counts> {
  const engines = pairOf(seed)
  const life = new Life(seed, engines)
  await told(life, { seed, steps, what: engines.join(" and ") })
  return life.counts
}

/**
 * Two daemons as processes.
 * @param steps 0: one of each kind
 * @throws (rejects) as `live`
 */
export async function liveAsDaemons(seed: number, steps: number): Promise<Counts> {
  const life = new DaemonLife(seed)
  try {
    await life.open()
    if (steps === 0) await life.stepEach()
    else await told(life, { seed, steps, what: "two daemons" })
  } finally {
    await life.close()
  }
  return life.counts
}

interface Told {
  readonly told: readonly string[]
  step(): Promise<void>
  end(): Promise<void>
}

async function told(
  life: Told,
  { seed, steps, what }: { readonly seed: number; readonly steps: number; readonly what: string },
): Promise<void> {
  let step = 0
  try {
    while (step < steps) {
      step++
      await life.step()
    }
    await life.end()
  } catch (error) {
    const again = `VARVE_LIFE_SEED=${seed} VARVE_LIFE_STEPS=${step}`
    const message = `${what}, seed ${seed}, step ${step} of ${steps} (${again}): ${(error as Error).message}`
    throw new Error(`${message}\n  ${life.told.join("\n  ")}`, { cause: error })
  }
}
