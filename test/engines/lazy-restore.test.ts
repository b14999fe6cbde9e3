// Restores that answer before the records are here: what is read is right at any moment, everything comes in the end,
// once, and a stop or a kill in the middle loses nothing. What the repository has lost is refused by key.

import {
  type Engine,
  type EngineName,
  engineNames,
  isEngineError,
  openEngine,
  type RestoreMode,
} from "@varve/engines"
import { type FillRunInput, InlineExecutor } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { type SimulatedFileSystem, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { bytes, contents, read, tinySettings } from "./engine-fixture.ts"
import { fetchesRecords, GatedExecutor } from "./gated-executor.ts"
import { GatedFileSystem } from "./gated-file-system.ts"
import { expectNoUnhandledRejections } from "./no-unhandled-rejections.ts"
import { serveAtOnce } from "./serve-at-once.ts"

const KEY_COUNT = 240
const VALUE_BYTES = 900
/** Far more turns of the event loop than anything here takes. */
const TURNS_MAX = 100_000

expectNoUnhandledRejections()
// Whatever its size: a small state of this engine is read before it is served.
serveAtOnce("memory")

type State = ReadonlyMap<string, string>

interface Life {
  readonly seams: SimulatedSeams
  readonly executor: GatedExecutor
  readonly engine: Engine
  readonly warnings: string[]
  /** Bytes of packs that were read, recipes included. */
  readonly packBytes: { count: number }
  /** Bytes of the slices that were held: who reads them meanwhile does not wait, and they come twice. */
  readonly heldBytes: { count: number }
}

/** An engine over the disk. `isHeld`: of records it fetches only what is read, until the executor is opened. */
async function live(
  name: EngineName,
  disk: SimulatedFileSystem,
  options: {
    seed?: number
    isHeld?: boolean
    merges?: boolean
    restoreMode?: RestoreMode
    durability?: "log"
  } = {},
): Promise<Life> {
  const { seed = 2, isHeld = true, merges = true, ...engineOptions } = options
  const seams = simulatedSeams(seed, { fileSystem: disk })
  const warnings: string[] = []
  const packBytes = { count: 0 }
  const fileSystem = new GatedFileSystem(disk)
  fileSystem.beforeRead = async (path, count) => {
    if (path.startsWith("/repository/packs/")) packBytes.count += count
  }
  const heldBytes = { count: 0 }
  const executor = new GatedExecutor(new InlineExecutor({ ...seams, fileSystem }), (job, input) => {
    if (!isHeld || !fetchesRecords(job, input)) return false
    const { lengths } = (input as FillRunInput).stretch.chunks
    heldBytes.count += lengths.reduce((sum, length) => sum + length, 0)
    return true
  })
  const engine = await openEngine({
    engine: name,
    directory: "/partition",
    repository: "file:/repository",
    owner: { checkIntervalMs: 0 },
    // Merged runs are stored, for which the ends of all packs are read: that would be counted.
    settings: name === "memory" ? {} : { ...tinySettings[name], compactionEnabled: merges },
    seams: { ...seams, fileSystem, executor },
    onWarning: (message, error) => warnings.push(`${message}: ${String(error)}`),
    ...engineOptions,
  })
  return { seams, executor, engine, warnings, packBytes, heldBytes }
}

interface World {
  readonly disk: SimulatedFileSystem
  readonly versions: ReadonlyMap<number, State>
}

const worlds = new Map<string, Promise<World>>()

/** Versions in a repository, and nothing else on the disk, which is the caller's. */
async function stored(name: EngineName, versionCount = 2): Promise<World> {
  const key = `${name} ${versionCount}`
  const made = worlds.get(key) ?? makeWorld(name, versionCount)
  worlds.set(key, made)
  const { disk, versions } = await made
  return { disk: disk.copy(5), versions }
}

async function makeWorld(name: EngineName, versionCount: number): Promise<World> {
  const { engine, seams } = await live(name, simulatedSeams(1).fileSystem, { seed: 1, isHeld: false })
  const versions = new Map<number, State>()
  for (let version = 1; version <= versionCount; version++) {
    for (let i = version - 1; i < KEY_COUNT; i += version)
      await engine.set(bytes(`key:${i}`), valueFor(i, version))
    await engine.delete(bytes(`key:${version}`))
    await engine.snapshot({ version, metadata: bytes(`position ${version}`) })
    versions.set(version, await contents(engine))
  }
  await engine.close()
  await seams.fileSystem.removeDirectory("/partition")
  return { disk: seams.fileSystem.restartProcess(1), versions }
}

/** Bytes that do not repeat, so that no two chunks are the same. */
function valueFor(index: number, version: number): Uint8Array {
  const value = Buffer.alloc(VALUE_BYTES)
  for (let at = 0, state = (index * 7 + version) | 1; at < VALUE_BYTES; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    value[at] = 97 + ((state >>> 16) % 26)
  }
  return value
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    if (isSo()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`it did not come to this: ${what}`)
}

function isLocal({ engine, seams }: Life): boolean {
  const { bytesLocal, diskBytes } = engine.statistics()
  return bytesLocal === diskBytes && !seams.fileSystem.paths().some((path) => path.endsWith(".part"))
}

async function expectState(engine: Engine, expected: State): Promise<void> {
  for (let i = 0; i < KEY_COUNT; i++) {
    const key = `key:${i}`
    if ((await read(engine, key)) !== expected.get(key)) throw new Error(`${key} is wrong`)
  }
  expect(await contents(engine)).toEqual(expected)
}

describe.each(engineNames)("%s", (name) => {
  test("a restore answers when the index is here; reads bring what they need; then the rest comes", async () => {
    const { disk, versions } = await stored(name)
    const life = await live(name, disk, { merges: false })
    const { engine, executor, packBytes, heldBytes } = life
    expect(engine.position.version).toBe(2)
    const { diskBytes, bytesLocal } = engine.statistics()
    expect(bytesLocal).toBeLessThan(diskBytes / 4)
    expect(packBytes.count).toBeLessThan(diskBytes / 3)
    expect(await read(engine, "key:77")).toBe(versions.get(2)!.get("key:77"))
    expect(packBytes.count).toBeLessThan(diskBytes / 2)
    await expectState(engine, versions.get(2)!)
    executor.open()
    await until("all runs are here", () => isLocal(life))
    // Recipes, and the byte at the end of each pack, come on top.
    expect(packBytes.count).toBeLessThan(diskBytes * 1.1 + heldBytes.count)
    const before = packBytes.count
    await expectState(engine, versions.get(2)!)
    expect(packBytes.count).toBe(before)
    await engine.close()
    expect(disk.openPaths).toEqual([])
  })

  test("an eager restore answers when all is here", async () => {
    const { disk, versions } = await stored(name)
    const life = await live(name, disk, { restoreMode: "eager" })
    expect(isLocal(life)).toBe(true)
    await expectState(life.engine, versions.get(2)!)
    await life.engine.close()
    const lazy = await live(name, (await stored(name)).disk)
    expect(isLocal(lazy)).toBe(false)
    const restored = lazy.engine.restore({ version: 1, mode: "eager" })
    await until("it waits for what is held", () => lazy.executor.waitingCount > 0)
    lazy.executor.open()
    await restored
    const { bytesLocal, diskBytes } = lazy.engine.statistics()
    expect(bytesLocal).toBe(diskBytes)
    await expectState(lazy.engine, versions.get(1)!)
    await lazy.engine.close()
  })

  test("writes, versions, merges and other restores go on while runs are on their way", async () => {
    const { disk, versions } = await stored(name)
    const life = await live(name, disk)
    const { engine, executor } = life
    const state = new Map(versions.get(2)!)
    for (let i = 0; i < KEY_COUNT; i += 3) {
      const value = valueFor(i, 3)
      // Nobody waits for a merge that waits for its inputs.
      await engine.set(bytes(`key:${i}`), value)
      state.set(`key:${i}`, Buffer.from(value).toString("latin1"))
    }
    await engine.snapshot({ version: 3 })
    // Runs that are here merge; the others stay until they have come.
    const arriving = disk.paths().flatMap((path) => /L(\d+)\.(\d+)\..*\.part$/.exec(path)?.slice(1) ?? [])
    expect(arriving).not.toEqual([])
    for (let i = 0; i < arriving.length; i += 2) {
      const [level, run] = arriving.slice(i, i + 2).map(Number)
      expect(engine.runs()).toContainEqual(expect.objectContaining({ level, run }))
    }
    await expectState(engine, state)
    const { replaced } = await engine.restore({ version: 1 })
    await expectState(engine, versions.get(1)!)
    await engine.restore({ replaced })
    await expectState(engine, state)
    executor.open()
    await until("all runs are here", () => isLocal(life))
    await expectState(engine, state)
    await engine.restore({ version: 3 })
    await expectState(engine, state)
    await engine.close()
    expect(life.warnings).toEqual([])
    expect(disk.openPaths).toEqual([])
  })

  test.each([undefined, "log"] as const)(
    "a stop in the middle goes on after the next start, and fetches nothing twice (durability %s)",
    async (durability) => {
      const { disk, versions } = await stored(name)
      const options = { merges: false, ...(durability === undefined ? {} : { durability }) }
      const first = await live(name, disk, options)
      await read(first.engine, "key:5")
      await read(first.engine, `key:${KEY_COUNT - 1}`)
      const runs = new Map(first.engine.runs().map((run) => [run.id, run.bytes]))
      const { replaced } = await first.engine.restore({ version: 1 })
      for (const run of first.engine.runs()) runs.set(run.id, run.bytes)
      await first.engine.restore({ version: 2 })
      await first.engine.close()
      expect(disk.openPaths).toEqual([])
      const second = await live(name, disk, { ...options, seed: 3 })
      expect(second.engine.recovery).toBe("continued")
      expect(isLocal(second)).toBe(false)
      await expectState(second.engine, versions.get(2)!)
      second.executor.open()
      await until("all runs are here", () => isLocal(second))
      const runBytes = [...runs.values()].reduce((sum, count) => sum + count, 0)
      const bytesTwice = first.heldBytes.count + second.heldBytes.count
      expect(first.packBytes.count + second.packBytes.count).toBeLessThan(1.1 * runBytes + bytesTwice)
      await second.engine.restore({ replaced })
      await expectState(second.engine, versions.get(2)!)
      await second.engine.close()
      expect(disk.paths().filter((path) => path.endsWith(".part"))).toEqual([])
    },
  )

  test("damaged records are refused by key, loudly; all others are right, and an eager restore is refused", async () => {
    const { disk, versions } = await stored(name, 1)
    const packs = disk.paths().filter((path) => path.endsWith(".pack"))
    const pack = packs.reduce((a, b) => (disk.bytesOf(b).length > disk.bytesOf(a).length ? b : a))
    const bit = 8 * Math.floor(disk.bytesOf(pack).length / 2)
    disk.flip(pack, bit)
    await expectReason(live(name, disk.copy(7), { restoreMode: "eager" }), "DATA_LOSS")
    const life = await live(name, disk)
    let refused = 0
    for (const [key, value] of versions.get(1)!) {
      const found = await read(life.engine, key).catch(async (error: unknown) => {
        refused++
        const message = await expectReason(Promise.reject(error), "DATA_LOSS")
        expect(message).toMatch(/^packs\/records\/[0-9a-f]{32}\.pack is damaged: .* hash [0-9a-f]{64}$/)
        return value
      })
      expect(found).toBe(value)
    }
    expect(refused).toBeGreaterThan(0)
    expect(refused).toBeLessThan(100)
    life.executor.open()
    const { diskBytes, bytesDamaged } = life.engine.statistics()
    expect(bytesDamaged).toBeGreaterThan(0)
    await until("the rest is here", () => life.engine.statistics().bytesLocal === diskBytes - bytesDamaged)
    expect(life.warnings.filter((text) => text.includes("keys there answer DATA_LOSS"))).toHaveLength(1)
    // Mended in the repository, it is fetched.
    disk.flip(pack, bit)
    await expectState(life.engine, versions.get(1)!)
    await until("all runs are here", () => isLocal(life))
    await life.engine.close()
  })

  test("a read that fails while runs are on their way is told, and nothing else comes of it", async () => {
    const { disk, versions } = await stored(name)
    let told = 0
    for (let nth = 1; nth < 40; nth += 12) {
      const life = await live(name, disk.copy(5), { isHeld: nth % 24 === 1 })
      life.seams.fileSystem.failNth("read", nth)
      for (const [key, value] of versions.get(2)!) {
        const found = await read(life.engine, key).catch((error: unknown) => {
          told++
          if (!isEngineError(error, "REPOSITORY_FAILED") && !isEngineError(error, "STORAGE_FAILED"))
            throw error
          return read(life.engine, key)
        })
        expect(found).toBe(value)
      }
      life.executor.open()
      await until("all runs are here", () => isLocal(life))
      await expectState(life.engine, versions.get(2)!)
      expect(life.engine.statistics().bytesDamaged).toBe(0)
      await life.engine.close()
      expect(life.seams.fileSystem.openPaths).toEqual([])
    }
    expect(told).toBeGreaterThan(0)
  })

  test("a kill at any call while runs are on their way leaves the version", { timeout: 60_000 }, async () => {
    const { disk, versions } = await stored(name)
    const calm = disk.copy(5)
    const life = await live(name, calm)
    const startedAt = calm.steps
    life.executor.open()
    await until("all runs are here", () => isLocal(life))
    const endedAt = calm.steps
    await life.engine.close()
    let interrupted = 0
    const stride = process.env["VARVE_EVERY_CALL"] === "1" ? 1 : Math.ceil((endedAt - startedAt) / 3)
    for (let step = startedAt + 1; step <= endedAt; step += stride) {
      const crashing = disk.copy(5)
      const lost = await live(name, crashing)
      crashing.crashAt(step)
      lost.executor.open()
      await until("it has crashed, or all is here", () => crashing.isCrashed || isLocal(lost))
      if (!isLocal(lost)) interrupted++
      for (const after of [crashing.restart(step), crashing.restartProcess(step)]) {
        const again = await live(name, after, { isHeld: false, seed: 9 })
        expect(again.engine.position.version).toBe(2)
        expect(await contents(again.engine)).toEqual(versions.get(2))
        await until("all runs are here", () => isLocal(again))
        await again.engine.close()
      }
    }
    expect(interrupted).toBeGreaterThan(0)
  })
})
