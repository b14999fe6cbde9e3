// A restore that fails leaves the state as it was. Every call to the disk that a restore makes is made to fail, one
// after the other: the old contents are served, a version can be made of them, a second try succeeds, the way back
// is still there, and a kill right after the failure brings up the newest version, not the one that was asked for.
// An engine that lost the promise of durability refuses writes instead, until it is opened again.

import { type Engine, type EngineName, engineNames, isEngineError } from "@varve/engines"
import { afterEach, beforeEach, expect, test } from "vitest"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, contents, openTiny } from "./engine-fixture.ts"

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

/** Rejections that nobody has handled. */
const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)
beforeEach(() => void process.on("unhandledRejection", note))
afterEach(() => {
  process.off("unhandledRejection", note)
  expect(unhandled.splice(0)).toEqual([])
})

/** Of the engines but one, which meets every call, one call of so many fails. */
const STRIDE = 2
/** One failed restore of so many ends in a killed process, too. */
const KILL_STRIDE = 4

interface Scene {
  readonly seams: SimulatedSeams
  readonly engine: Engine
  readonly first: Map<string, string>
  readonly present: Map<string, string>
  /** Handle of the oldest of three replaced states, and its contents. */
  readonly oldest: { readonly handle: string; readonly contents: Map<string, string> }
}

/** Versions 1, 2 and 3, three replaced states, and writes that are in no version. `isBare`: the directory was lost in between. */
async function scene(name: EngineName, isBare: boolean): Promise<Scene> {
  let seams = simulatedSeams(1)
  let engine = await openTiny(name, seams)
  const write = async (text: string): Promise<void> => {
    for (let i = 0; i < 40; i++) await engine.set(bytes(`key:${i}`), bytes(`${text} `.repeat(1 + i)))
  }
  await write("one")
  await engine.snapshot({ version: 1 })
  const first = await contents(engine)
  await write("two")
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
  await write("three")
  await engine.snapshot({ version: 3 })
  await engine.set(bytes("replaced"), bytes("in no version"))
  return { seams, engine, first, present: await contents(engine), oldest }
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

async function checkAfterKill(name: EngineName, { seams }: Scene): Promise<void> {
  const again = await openTiny(name, afterKill(seams, 2))
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
    let failures = 0
    for (const kind of faultKinds) {
      for (let nth = 1; nth < CALLS_MAX; nth += name === "hybrid-log" ? 1 : STRIDE) {
        const served = await scene(name, where === "runs are fetched")
        const stepsBefore = served.seams.fileSystem.steps
        const error = await failedRestore(served, kind, nth)
        const trace = served.seams.fileSystem.trace.slice(stepsBefore - served.seams.fileSystem.steps)
        const wasMet = trace.filter((step) => step.split(" ")[1] === kind).length >= nth
        if (!wasMet) break
        try {
          if (error === undefined) {
            expect(await contents(served.engine)).toEqual(served.first)
            await served.engine.close()
          } else {
            failures++
            await checkServed(served)
          }
          // Whether a file is still open after a close that failed is for the system to say.
          if (kind !== "close") expect(served.seams.fileSystem.openPaths).toEqual([])
          if (error === undefined || nth % KILL_STRIDE !== 1) continue
          const killed = await scene(name, where === "runs are fetched")
          if ((await failedRestore(killed, kind, nth)) !== undefined) await checkAfterKill(name, killed)
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
