// A restore that fails leaves the state as it was. Every call to the disk that a restore makes is made to fail, one
// after the other: the old contents are served, a version can be made of them, a second try succeeds, the way back
// is still there, and a kill right after the failure brings up the newest version, not the one that was asked for.
// An engine that lost the promise of durability refuses writes instead, until it is opened again.

import { type Engine, type EngineName, engineNames, isEngineError } from "@varve/engines"
import { expect, test } from "vitest"
import { type SimulatedFileSystem, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { bytes, contents, openTiny } from "./engine-fixture.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"

const faultKinds = [
  "open",
  "read",
  "write",
  "sync",
  "size",
  "close",
  "rename",
  "link",
  "remove",
  "makeDirectory",
  "list",
  "status",
  "syncDirectory",
] as const
type FaultKind = (typeof faultKinds)[number]

/** More calls of one kind than a restore makes. */
const CALLS_MAX = 400

expectNoUnhandledRejections()

/** Of the engines but one, which meets every call, one call of so many fails. `VARVE_EVERY_CALL=1`: all do. */
const STRIDE = process.env["VARVE_EVERY_CALL"] === "1" ? 1 : 5
/** One failed restore of so many ends in a killed process, too. */
const KILL_STRIDE = 4

/** A partition after a clean stop: versions 1 and 2, three replaced states. */
interface Setting {
  readonly name: EngineName
  readonly disk: SimulatedFileSystem
  readonly first: Map<string, string>
  /** Handle of the oldest of the replaced states, and its contents. */
  readonly oldest: { readonly handle: string; readonly contents: Map<string, string> }
}

interface Scene extends Setting {
  readonly seams: SimulatedSeams
  readonly engine: Engine
  readonly present: Map<string, string>
}

async function write(engine: Engine, text: string): Promise<void> {
  for (let i = 0; i < 40; i++) await engine.set(bytes(`key:${i}`), bytes(`${text} `.repeat(1 + i)))
}

/** `isBare`: the directory was lost after version 2, so that the runs of version 1 are not here. */
async function setting(name: EngineName, isBare: boolean): Promise<Setting> {
  let seams = simulatedSeams(1)
  let engine = await openTiny(name, seams)
  await write(engine, "one")
  await engine.snapshot({ version: 1 })
  const first = await contents(engine)
  await write(engine, "two")
  await engine.snapshot({ version: 2 })
  if (isBare) {
    await engine.close()
    await seams.fileSystem.removeDirectory("/partition")
    seams = simulatedSeams(2, { fileSystem: seams.fileSystem })
    engine = await openTiny(name, seams)
  }
  await engine.set(bytes("replaced"), bytes("0"))
  const oldest = { contents: await contents(engine), handle: "" }
  for (let i = 0; i < 3; i++) {
    const { replaced } = await engine.restore({ version: 2 })
    if (i === 0) oldest.handle = replaced
    await engine.set(bytes("replaced"), bytes(`${i + 1}`))
  }
  await engine.close()
  return { name, disk: seams.fileSystem, first, oldest }
}

/** On a copy of the setting: version 3, and a write that is in no version. */
async function scene(setting: Setting): Promise<Scene> {
  // A seed of its own: identities that an earlier life has drawn must not come again.
  const seams = simulatedSeams(3, { fileSystem: setting.disk.copy(1) })
  const engine = await openTiny(setting.name, seams)
  await write(engine, "three")
  await engine.snapshot({ version: 3 })
  await engine.set(bytes("replaced"), bytes("in no version"))
  return { ...setting, seams, engine, present: await contents(engine) }
}

async function failedRestore(scene: Scene, kind: FaultKind, nth: number): Promise<unknown> {
  scene.seams.fileSystem.failNth(kind, nth)
  try {
    await scene.engine.restore({ version: 1 })
  } catch (error) {
    return error
  }
  return undefined
}

/** Whether the engine still takes writes. */
function isPoisoned(engine: Engine): boolean {
  try {
    void engine.set(bytes("replaced"), bytes("in no version"))
    return false
  } catch (error) {
    if (isEngineError(error, "ENGINE_POISONED")) return true
    throw error
  }
}

async function checkServed({ engine, first, present, oldest }: Scene): Promise<void> {
  expect(await contents(engine)).toEqual(present)
  if (!isPoisoned(engine)) {
    await engine.snapshot({ version: 4 })
    await engine.restore({ replaced: oldest.handle })
    expect(await contents(engine)).toEqual(oldest.contents)
    await engine.restore({ version: 4 })
    expect(await contents(engine)).toEqual(present)
    await engine.restore({ version: 1 })
    expect(await contents(engine)).toEqual(first)
  }
  await engine.close()
}

async function checkAfterKill(name: EngineName, disk: SimulatedFileSystem): Promise<void> {
  const again = await openTiny(name, simulatedSeams(4, { fileSystem: disk }))
  expect(again.position.version).toBe(3)
  await again.close()
}

test.each(
  engineNames.flatMap((name) =>
    (["some runs are here", "runs are fetched"] as const).map((where) => [name, where] as const),
  ),
)(
  "%s, %s: a restore that fails at any call to the disk changes nothing",
  { timeout: 120_000 },
  async (name, where) => {
    const set = await setting(name, where === "runs are fetched")
    let failures = 0
    for (const kind of faultKinds) {
      for (let nth = 1; nth < CALLS_MAX; nth += name === "hybrid-log" ? 1 : STRIDE) {
        const served = await scene(set)
        const stepsBefore = served.seams.fileSystem.steps
        const error = await failedRestore(served, kind, nth)
        const trace = served.seams.fileSystem.trace.slice(stepsBefore - served.seams.fileSystem.steps)
        const wasMet = trace.filter((step) => step.split(" ")[1] === kind).length >= nth
        if (!wasMet) break
        try {
          const killed = served.seams.fileSystem.copy(2)
          if (error === undefined) {
            expect(await contents(served.engine)).toEqual(served.first)
            await served.engine.close()
          } else {
            failures++
            await checkServed(served)
          }
          // Whether a file is still open after a close that failed is for the system to say.
          if (kind !== "close") expect(served.seams.fileSystem.openPaths).toEqual([])
          if (error !== undefined && nth % KILL_STRIDE === 1) await checkAfterKill(name, killed)
        } catch (cause) {
          const met = (error as Error | undefined)?.message ?? "no error"
          throw new Error(`${name}, ${where}, ${kind} ${nth} (${met}): ${(cause as Error).message}`, {
            cause,
          })
        }
      }
    }
    expect(failures).toBeGreaterThan(10)
  },
)
