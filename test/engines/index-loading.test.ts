// States that are served while their index is loaded, of `memory` their records. Beside a plain map, seed by seed:
// page after page comes when the dice say so, and in between everything is done that callers do. Among the keys are
// pairs that share all bits of their hash.

import { type Engine, EngineError, type EngineName, isEngineError } from "@varve/engines"
import type { Seams } from "@varve/engines/internal"
import { afterEach, describe, expect, test, vi } from "vitest"
import { SimulatedRandom, type SimulatedSeams, seedsUpTo, simulatedSeams } from "../simulation/index.ts"
import { collidingPairs, FixedHashSeed } from "./colliding-keys.ts"
import { afterKill, bytes, contents, openTiny, read } from "./engine-fixture.ts"
import { GatedFileSystem } from "./gated-file-system.ts"
import { serveAtOnce } from "./serve-at-once.ts"
import { openLoading } from "./turn-gate.ts"

type State = Map<string, string>

const loadingEngines = ["append-log", "hybrid-log", "memory"] as const satisfies readonly EngineName[]
const PAIRED = collidingPairs.flat()
const KEYS = [...Array.from({ length: 300 }, (_, i) => `key:${i}`), ...PAIRED]
const STEPS = 250

afterEach(() => vi.restoreAllMocks())

function seeded<Given extends Seams>(seams: Given): Given {
  return { ...seams, random: new FixedHashSeed(seams.random) }
}

/** A state in several runs, in version 1, whose process was killed. */
async function killedState(
  name: EngineName,
  seed: number,
): Promise<{ readonly seams: SimulatedSeams; readonly state: State }> {
  const seams = simulatedSeams(seed)
  const random = new SimulatedRandom(seed)
  const engine = await openTiny(name, seeded(seams))
  const state: State = new Map()
  // Of the pairs one key alone, or both: then the version says so.
  const keys =
    seed % 2 === 0 ? KEYS : KEYS.filter((key) => !collidingPairs.some(([, second]) => second === key))
  for (let i = 0; i < 3 * keys.length; i++) {
    const key = keys[random.integer(keys.length)]!
    const value = random.oneIn(8) ? "" : `${i}${"v".repeat(random.integer(100))}`
    await engine.set(bytes(key), bytes(value))
    if (value === "") state.delete(key)
    else state.set(key, value)
  }
  await engine.snapshot({ version: 1 })
  await engine.set(bytes("lost"), bytes("in the crash"))
  return { seams: afterKill(seams), state }
}

/** Writes a key that must have no value; whether it had none. */
async function writeFirst(engine: Engine, key: string): Promise<boolean> {
  try {
    await engine.write([{ key: bytes(key), value: bytes("first"), ifAbsent: true }])
    return true
  } catch (error) {
    if (isEngineError(error, "CONDITION_FAILED")) return false
    throw error
  }
}

describe.each(loadingEngines)("%s", (name) => {
  test.each(seedsUpTo(4))("index loading: all calls answer as if it were loaded, seed %i", async (seed) => {
    serveAtOnce(name)
    const { seams, state } = await killedState(name, seed)
    const { engine, gate } = await openLoading(name, seeded(seams))
    const random = new SimulatedRandom(seed + 1000)
    const answers: Promise<void>[] = []
    const versions: { readonly version: number; readonly state: State; readonly made: Promise<unknown> }[] =
      []
    const anyKey = (): string =>
      random.oneIn(3) ? PAIRED[random.integer(PAIRED.length)]! : KEYS[random.integer(KEYS.length)]!
    const expectRead = (key: string): void => {
      const value = state.get(key)
      answers.push(read(engine, key).then((found) => expect(found, key).toBe(value)))
    }
    const write = async (key: string, value: string): Promise<void> => {
      const pending = engine.set(bytes(key), bytes(value))
      if (value === "") state.delete(key)
      else state.set(key, value)
      if (pending === undefined) return
      // Writers may wait for what waits for a turn.
      gate.open()
      await pending
      gate.isOpen = false
    }
    for (let step = 0; step < STEPS; step++) {
      const dice = random.integer(100)
      if (dice < 45) expectRead(anyKey())
      else if (dice < 50) {
        const keys = Array.from({ length: 20 }, anyKey)
        const values = keys.map((key) => state.get(key))
        answers.push(
          Promise.resolve(engine.getMany(keys.map(bytes))).then((found) =>
            expect(found.map((each) => each && Buffer.from(each).toString())).toEqual(values),
          ),
        )
      } else if (dice < 75) await write(anyKey(), `${seed}:${step}${"w".repeat(random.integer(60))}`)
      else if (dice < 85) await write(anyKey(), "")
      else if (dice < 90) {
        const key = anyKey()
        const isWritten = await writeFirst(engine, key)
        expect(isWritten, key).toBe(!state.has(key))
        if (isWritten) state.set(key, "first")
      } else if (dice < 92) {
        const version = versions.length + 2
        versions.push({ version, state: new Map(state), made: engine.snapshot({ version }) })
      } else gate.letOn()
      if (random.oneIn(4)) await new Promise((resolve) => setImmediate(resolve))
    }
    gate.open()
    await Promise.all(answers)
    expect(await contents(engine)).toEqual(state)
    expect(engine.statistics().recordCount).toBe(state.size)
    for (const { version, state: then, made } of versions) {
      await made
      await engine.restore({ version })
      expect(await contents(engine)).toEqual(then)
    }
    await engine.close()
    expect(seams.fileSystem.openPaths).toEqual([])
  })

  test("index loading: reads are answered, and a stop waits for it, when no page has come", async () => {
    serveAtOnce(name)
    const { seams, state } = await killedState(name, 1)
    const { engine, gate } = await openLoading(name, seeded(seams))
    for (const key of KEYS) expect(await read(engine, key)).toBe(state.get(key))
    await engine.set(bytes("new"), bytes("written meanwhile"))
    state.set("new", "written meanwhile")
    const closed = engine.close()
    gate.open()
    await closed
    vi.restoreAllMocks()
    const again = await openTiny(name, seeded(afterKill(seams)))
    expect(again.recovery).toBe("continued")
    expect(await contents(again)).toEqual(state)
    await again.close()
  })

  test("index loading: keys whose hash a key has that was written meanwhile are still there", async () => {
    serveAtOnce(name)
    const { seams, state } = await killedState(name, 1)
    const { engine, gate } = await openLoading(name, seeded(seams))
    const set = async (key: string, value: string): Promise<void> => {
      state.set(key, value)
      await engine.set(bytes(key), bytes(value))
    }
    // Overwritten, on disk before that; deleted; both keys of a pair; one that only the runs have, before and behind it.
    const [plain, again, deleted, both] = collidingPairs
    for (const [, second] of collidingPairs) await set(second, "meanwhile")
    await set(both[0], "overwritten meanwhile")
    for (let i = 0; i < 8; i++) await set(`filler:${i}`, "f".repeat(900))
    await set(again[1], "and once more")
    await engine.delete(bytes(deleted[1]))
    state.delete(deleted[1])
    await set(plain[0], "overwritten meanwhile")
    for (const key of [...PAIRED, "filler:0"]) expect(await read(engine, key), key).toBe(state.get(key))
    const made = engine.snapshot({ version: 2 })
    gate.open()
    expect(await contents(engine)).toEqual(state)
    await made
    await engine.restore({ version: 2 })
    expect(await contents(engine)).toEqual(state)
    await engine.close()
  })

  test("index loading: a crash in the middle of it leaves the version as it was", async () => {
    serveAtOnce(name)
    const { seams, state } = await killedState(name, 2)
    const { engine, gate } = await openLoading(name, seeded(seams))
    for (const key of KEYS.slice(0, 50)) await engine.set(bytes(key), bytes("lost as well"))
    gate.letOn()
    const { engine: again, gate: open } = await openLoading(name, seeded(afterKill(seams)))
    open.open()
    expect(await contents(again)).toEqual(state)
    await again.close()
    gate.open()
    await expect(engine.close()).rejects.toThrow()
  })

  test("index loading: a disk that fails for a while only delays it", async () => {
    serveAtOnce(name)
    const { seams, state } = await killedState(name, 3)
    const gated = new GatedFileSystem(seams.fileSystem)
    const { engine, gate } = await openLoading(name, seeded({ ...seams, fileSystem: gated }))
    let failures = 0
    gated.beforeRead = async (path) => {
      if (path.endsWith(".run") && failures++ < 2) throw new EngineError("STORAGE_FAILED", "EIO")
    }
    const scanned = contents(engine)
    gate.open()
    await expect(scanned).rejects.toMatchObject({ reason: "STORAGE_FAILED" })
    await vi.waitUntil(() => failures > 2, { timeout: 10_000 })
    await engine.snapshot({ version: 2 })
    expect(await contents(engine)).toEqual(state)
    await engine.close()
  })
})
