// An engine on a simulated disk, small enough that a few hundred records reach every region, and what tests say
// about it.

import {
  BlockCache,
  type Engine,
  EngineError,
  type EngineName,
  engineNames,
  openEngine,
} from "@varve/engines"
import { definitionOf, type Seams } from "@varve/engines/internal"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"

/** Settings with which 8 KiB fill the memory regions of an engine, and two runs merge. Records of up to 2 KiB. */
function tiny(name: EngineName): object {
  const { settingsFor, settingsSchema } = definitionOf(name)
  const known = new Set(Object.keys(settingsSchema.shape))
  const wanted = { ...settingsFor(8192), maxRunsPerLevel: 2, densityFactor: 4 }
  return Object.fromEntries(Object.entries(wanted).filter(([key]) => known.has(key)))
}

export const tinySettings = Object.fromEntries(engineNames.map((name) => [name, tiny(name)])) as Record<
  EngineName,
  object
>
const TINY_VALUE_BYTES_MAX = 2048
/** Eight blocks: some reads are served from the cache, others throw them out again. */
const TINY_CACHE_BYTES = 32_768

/** Engines that keep records on disk, in runs that merge; the other one holds everything in memory. */
export const diskEngines = engineNames.filter((name) => name !== "memory")

/** Engines whose `recordCount` is exact; of the others it is an estimate once a key is on disk. */
export const countingEngines: readonly EngineName[] = engineNames.filter(
  (name) => definitionOf(name).countsExactly,
)

/** Engines whose scans come in the order of keys. */
export const orderedEngines: readonly EngineName[] = engineNames.filter(
  (name) => definitionOf(name).scansInOrder,
)

export interface EngineFixture {
  readonly seams: SimulatedSeams
  readonly engine: Engine
}

/** No question between commits: time stands still or runs, and a question too many changes where crashes fall. */
const commitsOnly = { checkIntervalMs: 0 }

/** Opens the engine on the disk of `seams`, in a fixed directory, with a repository on the same disk. */
export function openTiny(
  name: EngineName,
  seams: Seams,
  settings?: unknown,
  blockCacheBytes = TINY_CACHE_BYTES,
  onWarning: (message: string) => void = () => undefined,
): Promise<Engine> {
  return openEngine({
    engine: name,
    directory: "/partition",
    repository: "file:/repository",
    owner: commitsOnly,
    settings: settings ?? tinySettings[name],
    valueBytesMax: TINY_VALUE_BYTES_MAX,
    blockCache: new BlockCache(blockCacheBytes),
    seams,
    onWarning,
  })
}

/** The same under durability `log`, with segments and checkpoints so small that a life sees many of both. */
export function openDurable(name: EngineName, seams: Seams, settings?: unknown): Promise<Engine> {
  return openEngine({
    engine: name,
    directory: "/partition",
    repository: "file:/repository",
    owner: commitsOnly,
    settings: settings ?? tinySettings[name],
    valueBytesMax: TINY_VALUE_BYTES_MAX,
    blockCache: new BlockCache(TINY_CACHE_BYTES),
    seams,
    durability: "log",
    log: { segmentBytes: 8192, checkpointBytes: 6000 },
  })
}

/** A fresh disk with an engine on it. */
export async function tinyEngine(name: EngineName, seed = 1): Promise<EngineFixture> {
  const seams = simulatedSeams(seed)
  return { seams, engine: await openTiny(name, seams) }
}

/** The world after power loss: what was not synced may be gone. */
export function afterPowerLoss(seams: Pick<SimulatedSeams, "fileSystem">, seed = 1): SimulatedSeams {
  return simulatedSeams(seed, { fileSystem: seams.fileSystem.restart() })
}

/** The world after a process ended: files are as it left them. */
export function afterKill(seams: Pick<SimulatedSeams, "fileSystem">, seed = 1): SimulatedSeams {
  return simulatedSeams(seed, { fileSystem: seams.fileSystem.restartProcess() })
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text)
}

/** Reads a key as text; undefined when it has no value. */
export async function read(engine: Engine, key: string): Promise<string | undefined> {
  const value = await engine.get(bytes(key))
  return value === undefined ? undefined : Buffer.from(value).toString()
}

/** Everything in the engine, by a scan, as text; fails when a key comes twice. */
export async function contents(engine: Engine): Promise<Map<string, string>> {
  const all = new Map<string, string>()
  for await (const page of engine.scan()) {
    for (const { key, value } of page) {
      const name = Buffer.from(key).toString("latin1")
      if (all.has(name)) throw new Error(`the scan gave the key ${name} twice`)
      all.set(name, Buffer.from(value).toString("latin1"))
    }
  }
  return all
}

/** Writes many others, so that what was written before is on disk only, and waits for all that this sets off. */
export async function cool(engine: Engine): Promise<void> {
  for (let i = 0; i < 2000; i++) await engine.set(bytes(`filler:${i}`), Buffer.alloc(200, 1))
  let before = ""
  for (let idleTurns = 0; idleTurns < 50; idleTurns++) {
    await new Promise((resolve) => setImmediate(resolve))
    const now = JSON.stringify(engine.statistics())
    if (now !== before) idleTurns = 0
    before = now
  }
}

/** The reason of the EngineError that `action` throws or rejects with. */
export async function reasonOf(action: () => unknown): Promise<string> {
  try {
    await action()
  } catch (error) {
    if (error instanceof EngineError) return error.reason
    throw error
  }
  return "no error"
}

/** Enough records to push the first ones out of memory. */
export async function fill(engine: Engine, count: number, prefix = "filler"): Promise<void> {
  for (let i = 0; i < count; i++) await engine.set(bytes(`${prefix}:${i}`), bytes(`value ${i} `.repeat(10)))
}
