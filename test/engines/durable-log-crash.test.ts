// Under durability `log` the machine stops at calls to the disk all through a life with writes, versions, merges,
// checkpoints, a restore and a clean stop; whatever was not synced may be gone. What comes up holds every acknowledged
// write, and of the others a first part, each batch whole; it stands on the newest version that was acknowledged, and
// every version can be put back.

import { type Engine, type EngineName, engineNames } from "@varve/engines"
import { expect, test } from "vitest"
import { SimulatedCrash, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { afterKill, afterPowerLoss, bytes, contents, openDurable } from "./engine-fixture.ts"

type State = ReadonlyMap<string, string>

/** What one life has promised so far. */
interface Promises {
  /** The state after each write and each restore, in order; the first is empty. */
  readonly states: State[]
  /** Index of the newest state that was acknowledged. */
  acknowledged: number
  /** By number; asked for, and acknowledged. */
  readonly versions: Map<number, State>
  readonly committed: Map<number, State>
  stopAcknowledged: boolean
}

/** One life: versions 1 to 3, back to 2, then 13; writes of which several wait at a time. */
async function live(engine: Engine, promises: Promises): Promise<void> {
  const write = async (round: number): Promise<void> => {
    const waiting: Promise<void>[] = []
    for (let i = 0; i < 12; i++) {
      const next = new Map(promises.states.at(-1))
      const records = Array.from({ length: 1 + (i % 3) }, (_, j) => {
        const key = `key:${(round * 13 + i * 7 + j) % 60}`
        const value = (i + j) % 9 === 0 ? "" : `${round}.${i}.${j} `.repeat(1 + ((i * 5) % 40))
        if (value === "") next.delete(key)
        else next.set(key, value)
        return { key: bytes(key), value: bytes(value) }
      })
      promises.states.push(next)
      const index = promises.states.length - 1
      const acknowledge = (): void => {
        promises.acknowledged = Math.max(promises.acknowledged, index)
      }
      waiting.push(Promise.resolve(engine.write(records)).then(acknowledge))
      if (waiting.length < 4) continue
      const settled = await Promise.allSettled(waiting.splice(0))
      for (const each of settled) if (each.status === "rejected") throw each.reason
    }
    await Promise.all(waiting)
  }
  const snapshot = async (version: number): Promise<void> => {
    promises.versions.set(version, promises.states.at(-1)!)
    await engine.snapshot({ version, metadata: bytes(`${version}`) })
    promises.committed.set(version, promises.versions.get(version)!)
  }
  for (const version of [1, 2, 3]) {
    await write(version)
    await snapshot(version)
  }
  await write(4)
  promises.states.push(promises.committed.get(2)!)
  await engine.restore({ version: 2 })
  promises.acknowledged = promises.states.length - 1
  await write(12)
  await snapshot(13)
  await write(14)
  await engine.close()
  promises.stopAcknowledged = true
}

async function liveUntilCrash(name: EngineName, seams: SimulatedSeams): Promise<Promises> {
  const promises: Promises = {
    states: [new Map()],
    acknowledged: 0,
    versions: new Map(),
    committed: new Map(),
    stopAcknowledged: false,
  }
  try {
    await live(await openDurable(name, seams), promises)
  } catch (error) {
    if (!(error instanceof SimulatedCrash) && !seams.fileSystem.isCrashed) throw error
  }
  return promises
}

async function check(
  name: EngineName,
  seams: SimulatedSeams,
  promises: Promises,
  restores: boolean,
): Promise<void> {
  const engine = await openDurable(name, seams)
  const now = await contents(engine)
  const possible = promises.states.slice(promises.acknowledged).map(describeState)
  expect(possible).toContain(describeState(now))
  if (promises.acknowledged > 0) expect(["continued", "replayed"]).toContain(engine.recovery)
  if (promises.stopAcknowledged) expect(engine.recovery).toBe("continued")
  // The line is that of the state: 13 only after the restore, 3 only before.
  const { version, metadata } = engine.position
  if (version > 0) {
    expect(promises.versions.has(version)).toBe(true)
    expect(Buffer.from(metadata).toString()).toBe(String(version))
  }
  const newest = Math.max(0, ...promises.committed.keys())
  if (newest !== 3) expect(version).toBeGreaterThanOrEqual(newest)
  const listed = await engine.listVersions()
  expect(listed.map((each) => each.version)).toEqual(expect.arrayContaining([...promises.committed.keys()]))
  // A second crash, with nothing written in between, changes nothing.
  const again = await openDurable(name, afterPowerLoss(seams, 7))
  expect(describeState(await contents(again))).toBe(describeState(now))
  for (const { version: number, timeline } of restores ? listed : []) {
    await again.restore({ version: number, timeline })
    expect(describeState(await contents(again))).toBe(describeState(promises.versions.get(number)!))
  }
  await again.set(bytes("goes on"), bytes("yes"))
  await again.snapshot({ version: 100 })
  await again.close()
}

function describeState(state: State): string {
  return JSON.stringify([...state].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const lossesByName = { "power loss": afterPowerLoss, kill: afterKill } as const

/**
 * Every third step of one engine; of the others fewer, from another start for each loss. A life has some hundreds.
 */
function stepsOf(name: EngineName, loss: string, count: number): number[] {
  const stride = name === "memory" && loss === "power loss" ? 3 : 29
  const start = loss === "kill" ? 3 : 1
  return Array.from({ length: Math.ceil(count / stride) }, (_, i) => start + i * stride)
}

test.each(
  engineNames.flatMap((name) => (["power loss", "kill"] as const).map((loss) => [name, loss] as const)),
)("%s: after a %s every acknowledged write is there", { timeout: 120_000 }, async (name, loss) => {
  const dry = simulatedSeams(1)
  expect((await liveUntilCrash(name, dry)).stopAcknowledged).toBe(true)
  const stepCount = dry.fileSystem.steps
  expect(stepCount).toBeGreaterThan(200)
  for (const step of stepsOf(name, loss, stepCount)) {
    const seams = simulatedSeams(1)
    seams.fileSystem.crashAt(step)
    const promises = await liveUntilCrash(name, seams)
    try {
      await check(name, lossesByName[loss](seams, step), promises, step % 5 === 0)
    } catch (error) {
      const last = seams.fileSystem.trace.slice(-3).join("; ")
      throw new Error(`${name}, ${loss} at step ${step} (${last}): ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
})
