// Lives of tiny engines whose versions tests look into: each with what it holds, as a map.

import type { Engine, EngineName } from "@varve/engines"
import { DirectoryObjectStore, Repository, type VersionName } from "@varve/engines/internal"
import { collidingPairs, FixedHashSeed } from "../engines/colliding-keys.ts"
import { bytes, openTiny } from "../engines/engine-fixture.ts"
import { SimulatedRandom, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"

export interface KnownVersion extends VersionName {
  readonly model: ReadonlyMap<string, string>
}

export interface Life {
  readonly seams: SimulatedSeams
  readonly engine: Engine
  /** In the order in which they were made. */
  readonly versions: readonly KnownVersion[]
}

const STEPS = 320
const KEYS = 120

/** Sets, overwrites, deletes, versions and restores at random, among keys some of which share their hash. */
export async function live(name: EngineName, seed: number): Promise<Life> {
  const seams = simulatedSeams(seed)
  const engine = await openTiny(name, { ...seams, random: new FixedHashSeed(seams.random) })
  const random = new SimulatedRandom(seed + 1000)
  const keys = [...collidingPairs.flat(), ...Array.from({ length: KEYS }, (_, i) => `key:${i % 10}:${i}`)]
  const versions: KnownVersion[] = []
  let model = new Map<string, string>()
  let version = 0
  for (let step = 0; step < STEPS; step++) {
    const dice = random.integer(100)
    if (dice < 94) {
      const key = random.pick(keys)
      const value = random.oneIn(4) ? "" : `${step}-`.repeat(1 + random.integer(60))
      if (value === "") model.delete(key)
      else model.set(key, value)
      await engine.set(bytes(key), bytes(value))
    } else if (dice < 97 || versions.length === 0) {
      const { timeline } = await engine.snapshot({ version: ++version })
      versions.push({ timeline, version, model: new Map(model) })
    } else {
      const chosen = random.pick(versions)
      await engine.restore({ version: chosen.version, timeline: chosen.timeline })
      model = new Map(chosen.model)
      version = chosen.version
    }
  }
  return { seams, engine, versions }
}

/** The repository of a life, opened anew. */
export async function openRepository(seams: SimulatedSeams): Promise<Repository> {
  return Repository.open(await DirectoryObjectStore.open(seams.fileSystem, "/repository"), seams)
}

/** All keys that a life may have. */
export const noKey = "nobody has this key"
