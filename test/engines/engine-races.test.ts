// Flushes, merges, uploads, snapshots, scans and writers in each other's way.

import { type Engine, type EngineName, engineNames, openEngine } from "@varve/engines"
import { definitionOf, EngineError, InlineExecutor, type Seams } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { SimulatedRandom, seedsUpTo, simulatedSeams } from "../simulation/index.ts"
import { bytes, contents, diskEngines, read, tinyEngine } from "./engine-fixture.ts"
import { GatedFileSystem } from "./gated-file-system.ts"

/** Settings with so much memory before records go to disk. */
function sized(name: EngineName, flushBytes: number, maxRunsPerLevel: number): unknown {
  return { ...definitionOf(name).settingsFor(flushBytes), maxRunsPerLevel }
}

function open(
  engine: EngineName,
  seams: Seams,
  settings: unknown,
  directory = "/partition",
): Promise<Engine> {
  return openEngine({
    engine,
    directory,
    repository: "file:/repository",
    settings,
    valueBytesMax: 2048,
    seams,
  })
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function untilMerged(engine: Engine, count: number): Promise<void> {
  for (let i = 0; i < 3000 && engine.statistics().mergeCount < count; i++) await turns(1)
  expect(engine.statistics().mergeCount).toBe(count)
  await turns(20)
}

const twoSeeds = diskEngines.flatMap((name) => seedsUpTo(2).map((seed) => [name, seed] as const))

test.each(twoSeeds)(
  "%s: snapshots beside flushes, merges and uploads never fail, seed %i",
  async (name, seed) => {
    const seams = simulatedSeams(seed)
    const engine = await open(name, seams, sized(name, 8192, 2 + (seed % 2)))
    const random = new SimulatedRandom(seed)
    const failures: string[] = []
    const pending: Promise<unknown>[] = []
    for (let version = 1; version <= 60; version++) {
      for (let i = random.integer(120); i > 0; i--) {
        await engine.set(bytes(`k${random.integer(2000)}`), Buffer.alloc(random.integer(900), 1))
      }
      const snapshot = engine.snapshot({ version })
      pending.push(snapshot.catch((error: Error) => void failures.push(`${version}: ${error.message}`)))
      if (random.oneIn(3)) await Promise.all(pending.splice(0))
      if (random.oneIn(2)) await turns(random.integer(9))
    }
    await Promise.all(pending)
    await engine.close()
    expect(failures).toEqual([])
    expect(seams.fileSystem.openPaths).toEqual([])
  },
)

test.each(diskEngines)(
  "%s: a writer that waits for every promise is held back, and never refused",
  async (name) => {
    const seed = 1
    const flushBytes = 4 * 65_536
    const batchBytesMax = flushBytes + 2048 + 65_535
    const engine = await open(name, simulatedSeams(seed), sized(name, flushBytes, 4))
    const random = new SimulatedRandom(seed)
    const versions: Promise<unknown>[] = []
    for (let round = 0; round < 80; round++) {
      const goalBytes = random.oneIn(2) ? batchBytesMax - 3000 : random.integer(batchBytesMax - 3000)
      const records = Array.from({ length: Math.floor(goalBytes / 2020) }, () => ({
        key: bytes(`k${random.integer(1e6)}`),
        value: Buffer.alloc(2000, 1),
      }))
      await engine.write(records)
      if (random.oneIn(8)) versions.push(engine.snapshot({ version: versions.length + 1 }))
    }
    expect(engine.statistics().stallCount).toBeGreaterThan(0)
    expect((await Promise.all(versions)).length).toBeGreaterThan(1)
    await engine.close()
  },
)

test("memory: a scan beside a snapshot gives every key that is there all the time", async () => {
  for (let delay = 0; delay < 40; delay += 4) {
    const { engine } = await tinyEngine("memory")
    for (let i = 0; i < 9000; i++) engine.set(bytes(`old:${i}`), bytes("x"))
    const snapshot = engine.snapshot({ version: 1 })
    for (let i = 0; i < 9000; i++) engine.set(bytes(`new:${i}`), bytes("x"))
    await turns(delay)
    const met = new Set<string>()
    for await (const page of engine.scan()) for (const { key } of page) met.add(Buffer.from(key).toString())
    await snapshot
    expect(met.size, `${delay} turns after the seal`).toBe(18_000)
    await engine.close()
  }
})

/** Seams whose jobs, too, see the gated file system. */
function gatedSeams(): { seams: Seams; gate: GatedFileSystem; inner: ReturnType<typeof simulatedSeams> } {
  const inner = simulatedSeams(1)
  const gate = new GatedFileSystem(inner.fileSystem)
  const executor = new InlineExecutor({ fileSystem: gate, clock: inner.clock, random: inner.random })
  return { seams: { ...inner, fileSystem: gate, executor }, gate, inner }
}

test.each(diskEngines)(
  "%s: a merged run that was not uploaded before a clean stop does not put older runs above newer ones",
  async (name) => {
    const settings = sized(name, 8192, 3)
    const { seams, gate, inner } = gatedSeams()
    const away = async (path: string): Promise<void> => {
      if (path.startsWith("/repository/"))
        throw new EngineError("REPOSITORY_FAILED", "the repository is away")
    }
    const here = gate.beforeCreate
    let engine = await open(name, seams, settings)
    // Three runs that are stored; what they merge into is not.
    for (let version = 1; version <= 3; version++) {
      await engine.set(bytes("a"), bytes(`${version}`))
      await engine.snapshot({ version })
    }
    gate.beforeCreate = away
    await untilMerged(engine, 1)
    // Three newer runs, merged; nothing of them is stored.
    for (let version = 4; version <= 6; version++) {
      await engine.set(bytes("a"), bytes(`${version}`))
      await expectReason(engine.snapshot({ version }), "REPOSITORY_FAILED")
    }
    await untilMerged(engine, 2)
    await engine.close()
    gate.beforeCreate = here
    engine = await open(name, seams, settings)
    expect(await read(engine, "a")).toBe("6")
    await engine.snapshot({ version: 10 })
    const state = await contents(engine)
    await engine.close()
    const elsewhere = simulatedSeams(5, { fileSystem: inner.fileSystem })
    expect(await contents(await open(name, elsewhere, settings, "/other"))).toEqual(state)
  },
)

test("hybrid-log: a deleted cold key stays deleted when a merge drops its tombstone before the old record was compared", async () => {
  const inner = simulatedSeams(1)
  // Reads of the serving thread wait at the gate; jobs use the file system as it is.
  const gate = new GatedFileSystem(inner.fileSystem)
  const engine = await open(
    "hybrid-log",
    { ...inner, fileSystem: gate },
    { memSegmentLength: 4096, roLagInterval: 8192, flushInterval: 65_536, maxRunsPerLevel: 2 },
  )
  for (let i = 0; i < 60; i++) await engine.set(bytes(`k${i}`), Buffer.alloc(1000, 1))
  await engine.snapshot({ version: 1 })
  // On until the first keys have left memory while the run still reaches into it.
  for (let i = 0; !(engine.get(bytes("k5")) instanceof Promise); i++) {
    engine.set(bytes(`hot${i}`), Buffer.alloc(1000, 1))
    expect(engine.statistics().flushCount).toBe(1)
  }
  await engine.get(bytes("k5"))
  let openGate = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    openGate = resolve
  })
  gate.beforeRead = async (path, byteCount) => {
    if (path.endsWith(".run") && byteCount === 4096) await opened
  }
  engine.delete(bytes("k5"))
  const snapshot = engine.snapshot({ version: 2 })
  await untilMerged(engine, 1)
  await turns(200)
  openGate()
  await snapshot
  await turns(200)
  expect(await read(engine, "k5")).toBeUndefined()
})

test.each(engineNames)("%s: a scan that a restore overtakes says so, and reads go on", async (name) => {
  const { engine } = await tinyEngine(name)
  for (let i = 0; i < 600; i++) await engine.set(bytes(`k${i}`), Buffer.alloc(100, i))
  await engine.snapshot({ version: 1 })
  const pages = engine.scan()[Symbol.asyncIterator]()
  await pages.next()
  const cold = Promise.all(Array.from({ length: 600 }, (_, i) => engine.get(bytes(`k${i}`))))
  await engine.restore({ version: 1 })
  await expectReason(pages.next(), "STATE_REPLACED")
  expect((await cold).map((value, i) => value?.[0] === i % 256)).toEqual(Array(600).fill(true))
  expect((await contents(engine)).size).toBe(600)
  await engine.close()
})
