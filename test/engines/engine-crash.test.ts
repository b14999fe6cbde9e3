// The machine stops at every single call to the disk of a life with writes, versions, merges, a restore and a clean
// stop. The world goes on after power loss, which leaves of what was not synced any part, sector by sector and name by
// name; and, at some of these moments, after the end of the process, which leaves everything. What comes up is a
// version, whole, and not older than the newest one that was acknowledged on its line; versions can be put back.
//
// Other seeds (other orders of overlapping calls, other losses) stop at some of the calls, at others for each seed.

import { type Engine, type EngineName, engineNames } from "@varve/engines"
import { expect, test } from "vitest"
import { SimulatedCrash, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { afterKill, afterPowerLoss, bytes, contents, openTiny } from "./engine-fixture.ts"

type State = ReadonlyMap<string, string>

/** What one life has promised so far. */
interface Promises {
  /** Acknowledged versions by number, and those that were asked for and may have come to be. */
  readonly acknowledged: Map<number, State>
  readonly asked: Map<number, State>
  /** Set when a restore was asked for, and when it was acknowledged. */
  restoreAsked: number | undefined
  restoreAcknowledged: boolean
  /** The state at the clean stop, once that was asked for. */
  stopAsked: State | undefined
  stopAcknowledged: boolean
  /** Merges so far, as the statistics told before a restore and before the stop. */
  merges: number
}

/** One life. Numbers tell where it is: versions 1 to 3, back to 2, then version 13. */
async function live(engine: Engine, promises: Promises): Promise<void> {
  const state = new Map<string, string>()
  const write = async (round: number): Promise<void> => {
    for (let i = 0; i < 40; i++) {
      const key = `key:${(round * 13 + i * 7) % 90}`
      const value = i % 9 === 0 ? "" : `${round}.${i} `.repeat(1 + (i % 40))
      if (value === "") state.delete(key)
      else state.set(key, value)
      await engine.set(bytes(key), bytes(value))
    }
  }
  const snapshot = async (version: number): Promise<void> => {
    promises.asked.set(version, new Map(state))
    await engine.snapshot({ version, metadata: bytes(`${version}`) })
    promises.acknowledged.set(version, promises.asked.get(version)!)
  }
  for (const version of [1, 2, 3]) {
    await write(version)
    await snapshot(version)
  }
  await write(4)
  promises.restoreAsked = 2
  promises.merges += engine.statistics().mergeCount
  await engine.restore({ version: 2 })
  promises.restoreAcknowledged = true
  state.clear()
  for (const [key, value] of promises.acknowledged.get(2)!) state.set(key, value)
  await write(13)
  await snapshot(13)
  await write(14)
  promises.stopAsked = new Map(state)
  promises.merges += engine.statistics().mergeCount
  await engine.close()
  promises.stopAcknowledged = true
}

async function liveUntilCrash(name: EngineName, seams: SimulatedSeams): Promise<Promises> {
  const promises: Promises = {
    acknowledged: new Map(),
    asked: new Map(),
    restoreAsked: undefined,
    restoreAcknowledged: false,
    stopAsked: undefined,
    stopAcknowledged: false,
    merges: 0,
  }
  try {
    await live(await openTiny(name, seams), promises)
  } catch (error) {
    // The engine turns what a background step met into its own error; the disk knows whether it was the crash.
    if (!(error instanceof SimulatedCrash) && !seams.fileSystem.isCrashed) throw error
  }
  return promises
}

/** The versions that may come up after a crash at this point of the life. */
function allowedVersions(promises: Promises): number[] {
  const newest = Math.max(0, ...promises.acknowledged.keys())
  const asked = Math.max(newest, ...promises.asked.keys())
  if (promises.restoreAsked === undefined || newest > 3) return [newest, asked]
  const after = asked > 3 ? [asked] : []
  return promises.restoreAcknowledged ? [2, ...after] : [2, newest, ...after]
}

async function check(
  name: EngineName,
  seams: SimulatedSeams,
  promises: Promises,
  restoresOneIn: number,
): Promise<void> {
  const engine = await openTiny(name, seams)
  const now = await contents(engine)
  if (engine.recovery === "continued") {
    expect(promises.stopAsked).toBeDefined()
    expect(now).toEqual(promises.stopAsked)
  } else {
    expect(promises.stopAcknowledged).toBe(false)
    const { version } = engine.position
    expect(allowedVersions(promises)).toContain(version)
    expect(now).toEqual(promises.asked.get(version) ?? new Map())
  }
  const listed = await engine.listVersions()
  expect(listed.map(({ version }) => version)).toEqual(
    expect.arrayContaining([...promises.acknowledged.keys()]),
  )
  // Whatever is listed is whole, acknowledged or not.
  for (const { version, timeline } of listed) {
    if (!seams.random.oneIn(restoresOneIn)) continue
    await engine.restore({ version, timeline })
    expect(await contents(engine)).toEqual(promises.asked.get(version))
  }
  await engine.set(bytes("goes on"), bytes("yes"))
  await engine.snapshot({ version: 100 })
  await engine.close()
  expect(seams.fileSystem.openPaths).toEqual([])
}

/** One crash point of so many goes on as a killed process, too. */
const KILL_STRIDE = 6

/** Stops one life at `step` and goes on from there. */
async function crashAt(name: EngineName, seed: number, step: number): Promise<void> {
  const seams = simulatedSeams(seed)
  seams.fileSystem.crashAt(step)
  const promises = await liveUntilCrash(name, seams)
  const attempt = async (loss: string, next: SimulatedSeams, restoresOneIn: number): Promise<void> => {
    try {
      await check(name, next, promises, restoresOneIn)
    } catch (error) {
      const last = seams.fileSystem.trace.slice(-3).join("; ")
      const message = `${name}, seed ${seed}, ${loss} at step ${step} (${last}): ${(error as Error).message}`
      throw new Error(message, { cause: error })
    }
  }
  await attempt("power loss", afterPowerLoss(seams, step), 3)
  if (step % KILL_STRIDE === 0) await attempt("kill", afterKill(seams, step), 4)
}

/** Calls to the disk in a life that nothing stops, and merges in it. */
async function wholeLife(name: EngineName, seed: number): Promise<{ steps: number; merges: number }> {
  const seams = simulatedSeams(seed)
  const { merges } = await liveUntilCrash(name, seams)
  return { steps: seams.fileSystem.steps, merges }
}

test.each(engineNames)(
  "%s: a crash at any call to the disk leaves a whole version",
  { timeout: 120_000 },
  async (name) => {
    const { steps, merges } = await wholeLife(name, 1)
    expect(steps).toBeGreaterThan(200)
    if (name !== "memory") expect(merges).toBeGreaterThan(1)
    for (let step = 1; step <= steps; step++) await crashAt(name, 1, step)
    process.stdout.write(`${name}, seed 1: ${steps} crash points, ${merges} merges, 0 violations\n`)
  },
)

/** Other seeds, and how far apart their crash points lie. */
const OTHER_SEEDS = [2, 3]
const STRIDE = 29

test.each(engineNames.flatMap((name) => OTHER_SEEDS.map((seed) => [name, seed] as const)))(
  "%s, seed %i: a crash leaves a whole version",
  { timeout: 120_000 },
  async (name, seed) => {
    const { steps } = await wholeLife(name, seed)
    for (let step = seed; step <= steps; step += STRIDE) await crashAt(name, seed, step)
  },
)
