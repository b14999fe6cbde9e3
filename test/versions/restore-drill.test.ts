// Restore drills: they find what is damaged in the repository, whatever is whole elsewhere, keep to their budget, give
// way, and say how long a restore takes. Time is simulated: reading the repository costs what the script says, and
// nothing else takes time.

import { type Engine, type EngineName, engineNames, openEngine } from "@varve/engines"
import {
  DrillHold,
  type DrillOptions,
  type DrillResult,
  drillRestore,
  type FillRunInput,
  InlineExecutor,
  regionKinds,
  type Seams,
} from "@varve/engines/internal"
import { describe, expect, onTestFinished, test } from "vitest"
import { bytes } from "../engines/engine-fixture.ts"
import { GatedExecutor } from "../engines/gated-executor.ts"
import { GatedFileSystem } from "../engines/gated-file-system.ts"
import { serveAtOnce } from "../engines/serve-at-once.ts"
import { SimulatedClock, SimulatedFileSystem, SimulatedRandom } from "../simulation/index.ts"

const KEYS = 400
/** Of a request, and of each byte: a store of 1 MB/s that answers after 2 ms. */
const REQUEST_MS = 2
const BYTES_PER_MS = 1000
const PACKS = "/repository/packs/records"

// Whatever its size: a small state of this engine is read before it is served.
serveAtOnce("memory")

interface World {
  readonly seams: Seams
  readonly disk: SimulatedFileSystem
  readonly clock: SimulatedClock
  readonly engine: Engine
  /** What reading the repository has taken so far: the clock moves by timers of engines, too. */
  repositoryMs(): number
  drill(options?: Partial<DrillOptions>, signal?: AbortSignal): Promise<DrillResult>
}

/** Whether a job brings records, which come in the background of a recovery. */
function fillsRecords(job: string, input: unknown): boolean {
  return job === "fillRun" && (input as FillRunInput).stretch.chunks.kinds.includes(regionKinds.records)
}

/** With the settings that it has by itself. */
function open(name: EngineName, seams: Seams, directory: string): Promise<Engine> {
  const owner = { checkIntervalMs: 0 }
  return openEngine({ engine: name, directory, repository: "file:/repository", owner, seams })
}

/** A partition with one version of `keys` records of 256 bytes, in a repository whose reads take time. */
async function makeWorld(name: EngineName, keys = KEYS): Promise<World> {
  const clock = new SimulatedClock({ autoAdvance: true })
  const disk = new SimulatedFileSystem({ seed: 1, clock })
  const fileSystem = new GatedFileSystem(disk)
  const random = new SimulatedRandom(1)
  const executor = new InlineExecutor({ fileSystem, clock, random })
  const seams = { fileSystem, clock, random, executor }
  const engine = await open(name, seams, "/partition")
  for (let i = 0; i < keys; i++) await engine.set(bytes(`key-${i}`), random.bytes(256))
  const { timeline } = await engine.snapshot({ version: 1 })
  let spentMs = 0
  fileSystem.beforeRead = async (path, readBytes) => {
    if (!path.startsWith("/repository/")) return
    const costMs = REQUEST_MS + readBytes / BYTES_PER_MS
    spentMs += costMs
    await clock.sleep(costMs)
  }
  onTestFinished(async () => {
    await engine.close()
    await executor.close()
  })
  return {
    ...{ seams, disk, clock, engine, repositoryMs: () => spentMs },
    drill: (options, signal) => {
      const target = { partition: 0, timeline, version: 1 }
      const plain = { url: "file:/repository", store: "default", targets: [target], bytesPerSecond: 0 }
      const { shared: hold } = new DrillHold()
      return executor.run(drillRestore, { ...plain, answersFromIndex: true, hold, ...options }, [], signal)
    },
  }
}

async function flip(disk: SimulatedFileSystem, path: string, offset: number): Promise<void> {
  const file = await disk.open(path, "edit")
  const byte = new Uint8Array(1)
  await file!.read(byte, offset)
  byte[0]! ^= 1
  await file!.write(byte, offset)
  await file!.close()
}

describe.each(engineNames)("%s", (name) => {
  test("drill: a whole version passes, and all of it was read", async () => {
    const { drill, engine } = await makeWorld(name)
    const { damage, bytesRead, stateBytes, createdMs } = await drill()
    const [version] = await engine.listVersions()
    expect({ damage, stateBytes, createdMs }).toEqual({
      damage: [],
      stateBytes: version!.bytes,
      createdMs: version!.createdMs,
    })
    expect(bytesRead).toBeGreaterThan(stateBytes)
  })

  test("drill: a byte that is wrong in the repository fails it, though the engine has all of it", async () => {
    const { drill, disk, engine } = await makeWorld(name)
    const [pack] = await disk.list(PACKS)
    await flip(disk, `${PACKS}/${pack}`, 1000)
    const { damage, recovery } = await drill()
    expect(damage.join("\n")).toContain(`packs/records/${pack}`)
    expect(recovery).toBeUndefined()
    expect(await engine.get(bytes("key-0"))).toHaveLength(256)
    await flip(disk, `${PACKS}/${pack}`, 1000)
    expect((await drill()).damage).toEqual([])
  })

  test("drill: what it predicts is what a recovery elsewhere takes, within a factor of two", async () => {
    const { drill, clock, seams, engine, repositoryMs } = await makeWorld(name, 2000)
    const { recovery } = await drill()
    await engine.close()
    // Records that are fetched before the answer are none that it waits for.
    const gate = new GatedExecutor(seams.executor, fillsRecords)
    const startedMs = repositoryMs()
    const elsewhere = await open(name, { ...seams, executor: gate }, "/elsewhere")
    const firstAnswer = repositoryMs() - startedMs
    gate.open()
    while (elsewhere.statistics().bytesLocal < elsewhere.statistics().diskBytes) await clock.nextTurn()
    const complete = repositoryMs() - startedMs
    const factors = [
      (recovery!.firstAnswerSeconds * 1000) / firstAnswer,
      (recovery!.completeSeconds * 1000) / complete,
    ]
    expect([elsewhere.recovery, elsewhere.position.version]).toEqual(["new", 1])
    await elsewhere.close()
    for (const factor of factors) expect(Math.abs(Math.log(factor)), `${factors}`).toBeLessThan(Math.log(2))
  })
})

test("drill: a version that is deleted and collected meanwhile, as a slow one may see, is not damage", async () => {
  const { drill, engine, disk, seams } = await makeWorld("hybrid-log")
  const gated = seams.fileSystem as GatedFileSystem
  const { beforeRead } = gated
  gated.beforeRead = async (path, ...range) => {
    if (path.startsWith(PACKS)) {
      gated.beforeRead = beforeRead
      await engine.deleteVersion(1)
      for (const pack of await disk.list(PACKS)) await disk.remove(`${PACKS}/${pack}`)
    }
    await beforeRead(path, ...range)
  }
  await expect(drill()).rejects.toMatchObject({ reason: "SNAPSHOT_NOT_FOUND" })
})

test("drill: a manifest that is gone is a version that was deleted, not damage", async () => {
  const { drill, engine } = await makeWorld("hybrid-log")
  await engine.deleteVersion(1)
  await expect(drill()).rejects.toMatchObject({ reason: "SNAPSHOT_NOT_FOUND" })
})

test("drill: while a collection runs it asks for nothing, and goes on afterwards", async () => {
  const { drill, clock } = await makeWorld("hybrid-log")
  const hold = new DrillHold()
  let isOver = false
  let collection: () => void = () => undefined
  const held = hold.during("collection", () => new Promise<void>((resolve) => (collection = resolve)))
  const running = drill({ hold: hold.shared }).then((result) => {
    isOver = true
    return result
  })
  const startedMs = clock.monotonicMs()
  while (clock.monotonicMs() < startedMs + 600_000) await clock.nextTurn()
  expect(isOver).toBe(false)
  collection()
  await held
  const { damage, seconds, recovery } = await running
  expect(damage).toEqual([])
  expect(seconds).toBeGreaterThan(600)
  expect(recovery!.completeSeconds).toBeLessThan(5)
})

test("drill: snapshots go first, but one after the other without end does not keep it from its work", async () => {
  const { drill } = await makeWorld("hybrid-log")
  const hold = new DrillHold()
  void hold.during("snapshot", () => new Promise(() => undefined))
  const { damage, seconds } = await drill({ hold: hold.shared })
  expect(damage).toEqual([])
  expect(seconds).toBeGreaterThan(60)
})

test("drill: told to stop it ends, also while it waits", async () => {
  const { drill, clock } = await makeWorld("hybrid-log")
  const hold = new DrillHold()
  void hold.during("collection", () => new Promise(() => undefined))
  const running = drill({ hold: hold.shared })
  const ended = expect(running).rejects.toMatchObject({ reason: "ENGINE_CLOSED" })
  const startedMs = clock.monotonicMs()
  while (clock.monotonicMs() < startedMs + 1000) await clock.nextTurn()
  hold.stop()
  await ended
})
