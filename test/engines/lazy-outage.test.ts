// A repository that cannot be reached while records of a restored state are still to come from it: keys are overwritten
// all the same, and what could not be compared is compared when it is back.

import { type Engine, type EngineName, isEngineError, openEngine } from "@varve/engines"
import { definitionOf, EngineError, InlineExecutor } from "@varve/engines/internal"
import { describe, expect, test, vi } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { SimulatedRandom, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { bytes, contents } from "./engine-fixture.ts"
import { fetchesRecords, GatedExecutor } from "./gated-executor.ts"
import { GatedFileSystem } from "./gated-file-system.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"

const KEY_COUNT = 120
const VALUE_BYTES = 900
/** Runs of several chunks. */
const RUN_BYTES = 65_536

/** However slow the machine is. */
const WAIT = { timeout: 60_000 }

expectNoUnhandledRejections()

interface World {
  readonly engine: Engine
  readonly seams: SimulatedSeams
  isOut: boolean
  /** Reads of the repository that failed. */
  failedCount: number
}

/** An engine over the disk of `seams`. `isHeld`: records come from the repository only when they are read. */
async function live(name: EngineName, seams: SimulatedSeams, isHeld: boolean): Promise<World> {
  const fileSystem = new GatedFileSystem(seams.fileSystem)
  const executor = new GatedExecutor(
    new InlineExecutor({ ...seams, fileSystem }),
    (job, input) => isHeld && fetchesRecords(job, input),
  )
  const outage = { isOut: false, failedCount: 0 }
  fileSystem.beforeRead = async (path) => {
    if (!outage.isOut || !path.startsWith("/repository/")) return
    outage.failedCount++
    throw new EngineError("REPOSITORY_FAILED", "the repository cannot be reached")
  }
  const engine = await openEngine({
    engine: name,
    directory: "/partition",
    repository: "file:/repository",
    owner: { checkIntervalMs: 0 },
    settings: definitionOf(name).settingsFor(RUN_BYTES),
    seams: { ...seams, fileSystem, executor },
  })
  return Object.assign(outage, { engine, seams })
}

/** A version of keys with values that do not repeat, put back on another machine, and then no repository. */
async function restoredBeforeOutage(name: EngineName): Promise<{ world: World; model: Map<string, string> }> {
  const stored = await live(name, simulatedSeams(1), false)
  const random = new SimulatedRandom(1)
  for (let i = 0; i < KEY_COUNT; i++) await stored.engine.set(bytes(`key ${i}`), random.bytes(VALUE_BYTES))
  await stored.engine.snapshot({ version: 1 })
  const model = await contents(stored.engine)
  await stored.engine.close()
  const disk = stored.seams.fileSystem
  await disk.removeDirectory("/partition")
  const world = await live(name, simulatedSeams(2, { fileSystem: disk.restartProcess(1) }), true)
  await world.engine.restore({ version: 1 })
  expect(world.engine.statistics().bytesLocal).toBeLessThan(world.engine.statistics().diskBytes)
  world.isOut = true
  return { world, model }
}

/** Requests that were on their way when the repository came back fail still, and whoever joins one hears of it. */
async function contentsAgain({ engine }: World): Promise<Map<string, string>> {
  let found: Map<string, string> | undefined
  await vi.waitUntil(async () => {
    try {
      found = await contents(engine)
      return true
    } catch (error) {
      if (isEngineError(error, "REPOSITORY_FAILED")) return false
      throw error
    }
  }, WAIT)
  return found!
}

async function overwrite({ engine }: World, model: Map<string, string>): Promise<void> {
  for (let i = 0; i < KEY_COUNT; i += 2) {
    await engine.set(bytes(`key ${i}`), bytes(`new ${i}`))
    model.set(`key ${i}`, `new ${i}`)
  }
}

describe.each(["append-log", "hybrid-log"] as const)("%s", (name) => {
  test("overwrites of keys that have not come yet are taken, and compared when the repository is back", async () => {
    const { world, model } = await restoredBeforeOutage(name)
    await overwrite(world, model)
    await expectReason(contents(world.engine), "REPOSITORY_FAILED")
    expect(world.failedCount).toBeGreaterThan(0)
    world.isOut = false
    await world.engine.set(bytes("key 1"), bytes("since"))
    expect(await contentsAgain(world)).toEqual(model.set("key 1", "since"))
    await world.engine.snapshot({ version: 2 })
    await world.engine.close()
  })

  test("a stop meanwhile is a clean one", async () => {
    const { world, model } = await restoredBeforeOutage(name)
    await overwrite(world, model)
    await world.engine.close()
    expect(world.failedCount).toBeGreaterThan(0)
    const again = await live(name, simulatedSeams(3, { fileSystem: world.seams.fileSystem }), false)
    expect(again.engine.recovery).toBe("continued")
    expect(await contents(again.engine)).toEqual(model)
    await again.engine.close()
  })
})
