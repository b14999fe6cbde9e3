// The machine stops at every single call to the disk of a life with writes, versions, merges, a restore and a clean
// stop; whatever was not synced may be gone. What comes up is a version, whole, and not older than the newest one
// that was acknowledged on its line; every acknowledged version can be put back.

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
}

/** One life. Numbers tell where it is: versions 1 to 3, back to 2, then versions 13 and 14. */
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
  await engine.restore({ version: 2 })
  promises.restoreAcknowledged = true
  state.clear()
  for (const [key, value] of promises.acknowledged.get(2)!) state.set(key, value)
  for (const version of [13, 14]) {
    await write(version)
    await snapshot(version)
  }
  await write(15)
  promises.stopAsked = new Map(state)
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

async function check(name: EngineName, seams: SimulatedSeams, promises: Promises): Promise<void> {
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
    await engine.restore({ version, timeline })
    expect(await contents(engine)).toEqual(promises.asked.get(version))
  }
  await engine.set(bytes("goes on"), bytes("yes"))
  await engine.snapshot({ version: 100 })
  await engine.close()
}

const lossesByName = { "power loss": afterPowerLoss, kill: afterKill } as const

test.each(
  engineNames.flatMap((name) => (["power loss", "kill"] as const).map((loss) => [name, loss] as const)),
)("%s: a %s at any call to the disk leaves a whole version", { timeout: 120_000 }, async (name, loss) => {
  const dry = simulatedSeams(1)
  await liveUntilCrash(name, dry)
  const stepCount = dry.fileSystem.steps
  expect(stepCount).toBeGreaterThan(200)
  for (let step = 1; step <= stepCount; step++) {
    const seams = simulatedSeams(1)
    seams.fileSystem.crashAt(step)
    const promises = await liveUntilCrash(name, seams)
    try {
      await check(name, lossesByName[loss](seams, step), promises)
    } catch (error) {
      const last = seams.fileSystem.trace.slice(-3).join("; ")
      throw new Error(`${name}, ${loss} at step ${step} (${last}): ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
})
