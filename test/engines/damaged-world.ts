// A small world with everything that a partition leaves on a disk, and the life of an engine that comes up on a
// damaged copy of it. Whatever was damaged, an answer is right or it is an error that says so:
//
//   open       the state as it was left; or DATA_LOSS
//   key        its value; or DATA_LOSS
//   scan       every key once, with its value; or DATA_LOSS
//   version    restored whole; or DATA_LOSS
//   snapshot   committed, and right when it is restored; or DATA_LOSS
//
// Anything else is a violation: a wrong value, a key that is gone without an error, another error, a rejection that
// nobody handles, a life that does not end. "Does not end" is counted in calls to the disk and in turns of the event
// loop, never in time.

import { type Engine, type EngineName, engineNames, isEngineError } from "@varve/engines"
import {
  SimulatedCrash,
  type SimulatedFileSystem,
  type SimulatedRandom,
  simulatedSeams,
} from "../simulation/index.ts"
import { bytes, contents, openDurable, openTiny } from "./engine-fixture.ts"

type State = ReadonlyMap<string, string>

const KEY_COUNT = 30
const VERSIONS = [1, 2, 3] as const
/** A life on an undamaged copy takes about a tenth of each. */
const CALLS_MAX = 6000
const TURNS_MAX = 6000

const openers = { snapshot: openTiny, log: openDurable } as const

/** Errors that damage may cause. FORMAT_NEWER: the damage hit the number of a format. */
const reasonsOfDamage = ["DATA_LOSS", "FORMAT_NEWER"] as const

/** How the state was left on the disk: by a clean stop, or by a kill with the log behind it. */
type Durability = keyof typeof openers

/** What a table of tests runs over. */
export const worlds = engineNames.flatMap((name) =>
  (["snapshot", "log"] as const).map((durability) => [name, durability] as const),
)

/** Of a test that may have been told to try everything. */
export const EXHAUSTIVE_TIMEOUT_MS = 2 * 60 * 60 * 1000

export interface World {
  readonly name: EngineName
  readonly durability: Durability
  readonly disk: SimulatedFileSystem
  readonly present: State
  readonly versions: ReadonlyMap<number, State>
  /** The files to damage: all; under durability `log` those of the partition, since the repository's are alike. */
  readonly paths: readonly string[]
}

/** What the lives of one test have seen. */
export class Tally {
  lives = 0
  right = 0
  /** Answers that were refused because of the damage, by reason. */
  readonly refused: Record<(typeof reasonsOfDamage)[number], number> = { DATA_LOSS: 0, FORMAT_NEWER: 0 }

  /** Notes an error; throws one that damage may not cause. */
  refuse(error: unknown): void {
    for (const reason of reasonsOfDamage) {
      if (!isEngineError(error, reason)) continue
      this.refused[reason]++
      return
    }
    throw error
  }

  toString(): string {
    const { DATA_LOSS, FORMAT_NEWER } = this.refused
    return `${this.lives} lives: ${this.right} right, ${DATA_LOSS} DATA_LOSS, ${FORMAT_NEWER} FORMAT_NEWER, 0 wrong`
  }
}

/**
 * Versions 1 to 3, runs in several levels where the engine has them, writes that are in no version; then a clean stop,
 * or under durability `log` a kill.
 */
export async function buildWorld(name: EngineName, durability: Durability, seed = 1): Promise<World> {
  const seams = simulatedSeams(seed)
  const engine = await openers[durability](name, seams)
  const state = new Map<string, string>()
  const versions = new Map<number, State>()
  const write = async (round: number): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      const key = keyOf((i * 7 + round * 5) % KEY_COUNT)
      const value = i % 6 === 5 ? "" : `${round}.${i} `.repeat(1 + (i % 4))
      if (value === "") state.delete(key)
      else state.set(key, value)
      await engine.set(bytes(key), bytes(value))
    }
  }
  for (const version of VERSIONS) {
    await write(version)
    await engine.snapshot({ version, metadata: bytes(`offset ${version}`) })
    versions.set(version, new Map(state))
  }
  await write(4)
  if (durability === "snapshot") await engine.close()
  const disk = seams.fileSystem.restartProcess(seed)
  const paths = disk.paths().filter((path) => durability === "snapshot" || path.startsWith("/partition/"))
  return { name, durability, disk, present: state, versions, paths }
}

/**
 * A copy of the world's disk. The copies of one world are all alike, and so are the seams over them; these draw other
 * identities than those of the life before.
 */
export function copyOf(world: World): SimulatedFileSystem {
  return world.disk.copy(3)
}

/** Puts `content` in the place of a file, or adds one. */
export async function putFile(disk: SimulatedFileSystem, path: string, content: Uint8Array): Promise<void> {
  await disk.remove(path)
  const file = await disk.open(path, "create")
  await file.write(content, 0)
  await file.close()
}

/** Lives on `disk`, in place or (of the repository's files) where nothing else is left. @throws with `what` was damaged */
export async function liveOn(
  world: World,
  disk: SimulatedFileSystem,
  where: "in place" | "elsewhere",
  what: string,
  tally: Tally,
): Promise<void> {
  try {
    await (where === "in place" ? liveWithDamage : liveElsewhere)(world, disk, tally)
  } catch (error) {
    const message = `${world.name}, ${world.durability}, ${what}, ${where}: ${(error as Error).message}`
    throw new Error(message, { cause: error })
  }
}

/** Where to live after a file was damaged: what the repository holds is read most where nothing else is left. */
export function whereFor(path: string, random: SimulatedRandom): "in place" | "elsewhere" {
  return path.startsWith("/repository/") && random.oneIn(2) ? "elsewhere" : "in place"
}

/** Lives on `disk`, a damaged copy of the world, where the state was left. @throws what is not right */
function liveWithDamage(world: World, disk: SimulatedFileSystem, tally: Tally): Promise<void> {
  const recovery = world.durability === "snapshot" ? "continued" : "replayed"
  return untilItsEnd(disk, tally, () => live(world, disk, { recovery, state: world.present }, tally))
}

/** The same with nothing but the repository left: the newest version comes up. @throws what is not right */
async function liveElsewhere(world: World, disk: SimulatedFileSystem, tally: Tally): Promise<void> {
  await disk.removeDirectory("/partition")
  const state = world.versions.get(Math.max(...world.versions.keys()))!
  return untilItsEnd(disk, tally, () => live(world, disk, { recovery: "new", state }, tally))
}

interface Expected {
  readonly recovery: Engine["recovery"]
  readonly state: State
}

async function untilItsEnd(
  disk: SimulatedFileSystem,
  tally: Tally,
  life: () => Promise<void>,
): Promise<void> {
  disk.crashAt(CALLS_MAX)
  tally.lives++
  try {
    await endsWithin(TURNS_MAX, life())
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error
    throw new Error(`it did not end within ${CALLS_MAX} calls to the disk`, { cause: error })
  }
  if (disk.openPaths.length > 0) throw new Error(`files stay open: ${disk.openPaths.join(", ")}`)
}

async function live(
  world: World,
  disk: SimulatedFileSystem,
  { recovery, state }: Expected,
  tally: Tally,
): Promise<void> {
  const engine = await attempt(tally, () =>
    openers[world.durability](world.name, simulatedSeams(1, { fileSystem: disk })),
  )
  if (engine === undefined) return
  if (engine.recovery !== recovery) throw new Error(`it came up as ${engine.recovery}, not as ${recovery}`)
  await readAll(engine, state, tally)
  engine.statistics()
  engine.runs()
  const isStored = await attempt(tally, () => engine.snapshot({ version: 10 }))
  for (const version of world.versions.keys()) {
    await restoreAndRead(engine, version, world.versions.get(version)!, tally)
  }
  if (isStored !== undefined) await restoreAndRead(engine, 10, state, tally)
  await attempt(tally, () => engine.close())
}

/** One key after the other, then all by a batch, then all by a scan. */
async function readAll(engine: Engine, expected: State, tally: Tally): Promise<void> {
  const keys = Array.from({ length: KEY_COUNT }, (_, index) => keyOf(index))
  for (const key of keys) {
    const value = await attempt(tally, async () => ({ found: await engine.get(bytes(key)) }))
    if (value !== undefined) expectValue(key, value.found, expected)
  }
  const values = await attempt(tally, async () => engine.getMany(keys.map(bytes)))
  for (const [index, value] of values?.entries() ?? []) expectValue(keys[index]!, value, expected)
  const all = await attempt(tally, () => contents(engine))
  if (all !== undefined) expectState("a scan", all, expected)
}

async function restoreAndRead(engine: Engine, version: number, expected: State, tally: Tally): Promise<void> {
  if ((await attempt(tally, () => engine.restore({ version }))) === undefined) return
  const all = await attempt(tally, () => contents(engine))
  if (all !== undefined) expectState(`version ${version}`, all, expected)
}

async function attempt<Result>(tally: Tally, act: () => Promise<Result>): Promise<Result | undefined> {
  try {
    const result = await act()
    tally.right++
    return result
  } catch (error) {
    tally.refuse(error)
    return undefined
  }
}

function expectValue(key: string, value: Uint8Array | undefined, expected: State): void {
  const text = value === undefined ? undefined : Buffer.from(value).toString("latin1")
  if (text === expected.get(key)) return
  throw new Error(`${key} is ${JSON.stringify(text)}; it was ${JSON.stringify(expected.get(key))}`)
}

function expectState(what: string, found: State, expected: State): void {
  for (const key of new Set([...found.keys(), ...expected.keys()])) {
    if (found.get(key) === expected.get(key)) continue
    const [now, was] = [JSON.stringify(found.get(key)), JSON.stringify(expected.get(key))]
    throw new Error(`${what} has ${key} as ${now}; it was ${was}`)
  }
}

/** Waits for `work`, but no longer than `turnsMax` turns of the event loop. */
async function endsWithin(turnsMax: number, work: Promise<void>): Promise<void> {
  let isOver = false
  const over = work.finally(() => {
    isOver = true
  })
  over.catch(() => undefined)
  for (let turn = 0; turn < turnsMax && !isOver; turn++) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (!isOver) throw new Error(`it did not end within ${turnsMax} turns of the event loop`)
  await over
}

function keyOf(index: number): string {
  return `key:${index}`
}
