// The machine stops in every single call that changes the disk, all through a life with writes, versions, merges, a
// restore and a clean stop. The world goes on after power loss, which leaves of what was not synced any part, sector by
// sector and name by name; and, at some of these moments, after the end of the process, which leaves everything. What
// comes up is a version, whole, and not older than the newest one that was acknowledged on its line; versions can be
// put back.
//
// Other seeds (other orders of overlapping calls, other losses) are lived again up to some of their calls, at others
// for each seed, so that the engine meets the crash itself. Up to each of all calls, those that change nothing included,
// and after each the end of the process, too: `VARVE_EVERY_CALL=1 npx vitest run test/engines/engine-crash.test.ts`.

import { type Engine, type EngineName, engineNames } from "@varve/engines"
import { expect, test } from "vitest"
import {
  SimulatedCrash,
  type SimulatedSeams,
  type Stop,
  simulatedSeams,
  stopEverywhere,
} from "../simulation/index.ts"
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

function noPromises(): Promises {
  return {
    acknowledged: new Map(),
    asked: new Map(),
    restoreAsked: undefined,
    restoreAcknowledged: false,
    stopAsked: undefined,
    stopAcknowledged: false,
    merges: 0,
  }
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

const EVERY_CALL = process.env["VARVE_EVERY_CALL"] === "1"

/** One crash point of so many goes on as a killed process, too. */
const KILL_STRIDE = EVERY_CALL ? 1 : 6

/** What the stop has left goes on. */
async function goOn(name: EngineName, stop: Stop<Promises>, about: string): Promise<void> {
  const { disk: fileSystem, promises, number } = stop
  const attempt = async (loss: string, next: SimulatedSeams, restoresOneIn: number): Promise<void> => {
    try {
      await check(name, next, promises, restoresOneIn)
    } catch (error) {
      throw new Error(`${name}, ${about}, ${loss}: ${(error as Error).message}`, { cause: error })
    }
  }
  await attempt("power loss", afterPowerLoss({ fileSystem }, number), 3)
  if (number % KILL_STRIDE === 0) await attempt("kill", afterKill({ fileSystem }, number), 4)
}

test.each(engineNames)(
  "%s: a crash in any call that changes the disk leaves a whole version",
  async (name) => {
    const seams = simulatedSeams(1)
    const promises = noPromises()
    const stops = await stopEverywhere(
      seams.fileSystem,
      async () => live(await openTiny(name, seams), promises),
      () => ({ ...promises, acknowledged: new Map(promises.acknowledged), asked: new Map(promises.asked) }),
    )
    expect(stops.length).toBeGreaterThan(100)
    if (name !== "memory") expect(promises.merges).toBeGreaterThan(1)
    for (const stop of stops) await goOn(name, stop, `seed 1, stop ${stop.number} (${stop.where})`)
    process.stdout.write(
      `${name}, seed 1: ${stops.length} crash points, ${promises.merges} merges, 0 violations\n`,
    )
  },
)

/** Other seeds, and how far apart their crash points lie. */
const SEEDS = EVERY_CALL ? [1, 2, 3, 4] : [2, 3]
const STRIDE = EVERY_CALL ? 1 : 41

/** Lives up to a call to the disk. @returns undefined when the life has no such call */
async function liveUntil(name: EngineName, seed: number, step: number): Promise<Stop<Promises> | undefined> {
  const seams = simulatedSeams(seed)
  const disk = seams.fileSystem
  disk.crashAt(step)
  const promises = noPromises()
  try {
    await live(await openTiny(name, seams), promises)
    return undefined
  } catch (error) {
    // The engine turns what a background step met into its own error; the disk knows whether it was the crash.
    if (!(error instanceof SimulatedCrash) && !disk.isCrashed) throw error
  }
  return { disk, promises, number: step, where: disk.trace.slice(-3).join("; ") }
}

test.each(engineNames.flatMap((name) => SEEDS.map((seed) => [name, seed] as const)))(
  "%s, seed %i: an engine that meets the crash itself leaves a whole version",
  { timeout: EVERY_CALL ? 3_600_000 : 60_000 },
  async (name, seed) => {
    let count = 0
    for (let step = EVERY_CALL ? 1 : seed; ; step += STRIDE) {
      const stop = await liveUntil(name, seed, step)
      if (stop === undefined) break
      await goOn(name, stop, `seed ${seed}, step ${step} (${stop.where})`)
      count++
    }
    expect(count).toBeGreaterThan(200 / STRIDE)
    if (EVERY_CALL) process.stdout.write(`${name}, seed ${seed}: ${count} crash points, 0 violations\n`)
  },
)
