// When the newest version was sealed, and what came after it, as a start finds it: after a crash, whatever went on when
// the state file was written, and after software that did not count.

import { type Engine, type EngineName, engineNames } from "@varve/engines"
import { definitionOf, publishStateFile, readStateFile } from "@varve/engines/internal"
import { expect, onTestFinished, test } from "vitest"
import { SimulatedClock, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, openDurable, openTiny } from "./engine-fixture.ts"
import { GatedExecutor } from "./gated-executor.ts"

/** Far more than it takes. */
const TURNS_MAX = 10_000

async function until(isSo: () => boolean | Promise<boolean>, clock: SimulatedClock): Promise<void> {
  for (let turn = 0; !(await isSo()); turn++) {
    if (turn > TURNS_MAX) throw new Error(`it did not come to pass: ${isSo.toString()}`)
    await clock.nextTurn()
  }
}

interface Known {
  readonly version: number
  readonly sealedMs: number
  readonly recordsUnsaved: number
  readonly bytesUnsaved: number
}

function known(engine: Engine): Known {
  const { recordsUnsaved, bytesUnsaved } = engine.statistics()
  const { version, sealedMs } = engine.position
  return { version, sealedMs, recordsUnsaved, bytesUnsaved }
}

/**
 * An engine whose version 2 is sealed and waits for its upload, when a checkpoint is sealed and waits for its flush.
 * @param flushJob of the engine, which can be held up
 */
async function betweenSeals(name: EngineName, flushJob: string) {
  const clock = new SimulatedClock()
  const seams = simulatedSeams(1, { clock })
  let isHeld = false
  const uploads = new GatedExecutor(seams.executor, (job) => isHeld && job === "writePack")
  let isCheckpoint = false
  const flushes = new GatedExecutor(uploads, (job) => isCheckpoint && job === flushJob)
  // Memory for all of it: only versions and checkpoints flush.
  const settings = definitionOf(name).settingsFor(1 << 20)
  const engine = await openDurable(name, { ...seams, executor: flushes }, settings)
  await engine.set(bytes("k1"), bytes("one"))
  await engine.snapshot({ version: 1 })
  await clock.advance(1000)
  await engine.set(bytes("k1"), bytes("two"))
  isHeld = true
  const committed = engine.snapshot({ version: 2 })
  await until(() => uploads.waitingCount > 0, clock)
  isCheckpoint = true
  for (let i = 0; i < 70; i++) await engine.set(bytes(`key ${i}`), Buffer.alloc(100, i))
  await until(() => flushes.waitingCount > 0, clock)
  const checkpoint = async (): Promise<number> =>
    (await readStateFile(seams.fileSystem, "/partition"))?.log?.from ?? 0
  const last = await checkpoint()
  return {
    commit: async () => {
      uploads.open()
      await committed
      const found = known(engine)
      expect(found).toMatchObject({ version: 2, sealedMs: clock.nowMs(), recordsUnsaved: 70 })
      return found
    },
    publishCheckpoint: async () => {
      flushes.open()
      await until(async () => (await checkpoint()) > last, clock)
    },
    reopen: async () => {
      const again = await openDurable(name, afterKill(seams))
      onTestFinished(() => again.close())
      expect(again.recovery).toBe("replayed")
      return known(again)
    },
  }
}

const flushJobs = [
  ["hybrid-log", "flushLog"],
  ["lsm-tree", "flushMemtable"],
] as const

test.each(flushJobs)(
  "%s: a version that is committed while a checkpoint is flushed stands in the state file with its own figures",
  async (name, flushJob) => {
    const { commit, publishCheckpoint, reopen } = await betweenSeals(name, flushJob)
    const before = await commit()
    await publishCheckpoint()
    expect(await reopen()).toEqual(before)
  },
)

test.each(flushJobs)(
  "%s: of a version that is committed after a later checkpoint, a start counts no less than what there is",
  async (name, flushJob) => {
    const { commit, publishCheckpoint, reopen } = await betweenSeals(name, flushJob)
    await publishCheckpoint()
    const before = await commit()
    const after = await reopen()
    // With the one write that lies between versions 1 and 2.
    expect(after).toMatchObject({ ...before, recordsUnsaved: 71, bytesUnsaved: after.bytesUnsaved })
    expect(after.bytesUnsaved).toBeGreaterThan(before.bytesUnsaved)
  },
)

/** Makes the state file what software wrote that counted nothing. */
async function forget({ fileSystem }: SimulatedSeams): Promise<void> {
  const { present, replaced, ...file } = (await readStateFile(fileSystem, "/partition"))!
  const { changes, ...rest } = present
  expect(changes?.sealedMs).toBeGreaterThan(0)
  const older = replaced.map(({ state: { changes: _, ...state }, ...each }) => ({ ...each, state }))
  await publishStateFile(fileSystem, "/partition", { ...file, present: rest, replaced: older })
}

test.each(engineNames)(
  "%s: a state file that does not say it is believed, and the version asked",
  async (name) => {
    const seams = simulatedSeams(1)
    const sealed: number[] = []
    let engine = await openTiny(name, seams)
    for (const version of [1, 2]) {
      await engine.set(bytes("k1"), bytes(`at ${version}`))
      await engine.snapshot({ version })
      sealed.push(engine.position.sealedMs)
      await seams.clock.sleep(1000)
    }
    const { replaced } = await engine.restore({ version: 1 })
    await engine.close()
    await forget(seams)
    engine = await openTiny(name, seams)
    expect([engine.recovery, engine.position.sealedMs]).toEqual(["continued", sealed[0]])
    await engine.restore({ replaced })
    expect(engine.position).toMatchObject({ version: 2, sealedMs: sealed[1] })
    await engine.close()

    await forget(seams)
    const damaged = seams.fileSystem.paths().filter((path) => path.endsWith(".manifest"))
    for (const path of damaged) seams.fileSystem.flip(path, 300)
    const warnings: string[] = []
    engine = await openTiny(name, seams, undefined, undefined, (message) => warnings.push(message))
    expect(engine.position).toMatchObject({ version: 2, sealedMs: 0 })
    expect(warnings).toEqual(["it is not known when version 2 was sealed"])
    await engine.snapshot({ version: 3 })
    expect(engine.position.sealedMs).toBeGreaterThan(sealed[1]!)
    await engine.close()
  },
)
