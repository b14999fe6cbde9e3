// Flushes, merges, uploads, snapshots, scans and writers in each other's way.

import { type Engine, openEngine } from "@varve/engines"
import { EngineError, InlineExecutor, type Seams } from "@varve/engines/internal"
import { expect, test } from "vitest"
import { SimulatedRandom, simulatedSeams } from "../simulation/index.ts"
import { bytes, contents, read, tinyEngine } from "./engine-fixture.ts"
import { GatedFileSystem } from "./gated-file-system.ts"

const smallRegions = { memSegmentLength: 4096, roLagInterval: 8192, flushInterval: 8192 }

function openHybrid(seams: Seams, settings: unknown, directory = "/partition"): Promise<Engine> {
  return openHashed("hybrid-log", seams, settings, directory)
}

function openHashed(
  engine: "append-log" | "hybrid-log",
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

test.each([
  ["hybrid-log", 1],
  ["hybrid-log", 2],
  ["hybrid-log", 3],
  ["hybrid-log", 4],
  ["append-log", 5],
  ["append-log", 6],
] as const)("%s: snapshots beside flushes, merges and uploads never fail, seed %i", async (name, seed) => {
  const seams = simulatedSeams(seed)
  const sizes = name === "hybrid-log" ? smallRegions : { threshold: 8192 }
  const engine = await openHashed(name, seams, { ...sizes, maxRunsPerLevel: 2 + (seed % 2) })
  const random = new SimulatedRandom(seed)
  const failures: string[] = []
  const pending: Promise<unknown>[] = []
  for (let version = 1; version <= 100; version++) {
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
})

test.each([
  ["hybrid-log", 1],
  ["hybrid-log", 2],
  ["append-log", 3],
  ["append-log", 4],
] as const)("%s: a writer that waits for every promise is never stalled, seed %i", async (name, seed) => {
  const flushInterval = 4 * 65_536
  const batchBytesMax = flushInterval + 2048 + 65_535
  const settings =
    name === "hybrid-log"
      ? { memSegmentLength: 4096, roLagInterval: 65_536, flushInterval, maxRunsPerLevel: 4 }
      : { threshold: flushInterval, maxRunsPerLevel: 4 }
  const engine = await openHashed(name, simulatedSeams(seed), settings)
  const random = new SimulatedRandom(seed)
  let version = 0
  for (let round = 0; round < 120; round++) {
    const goalBytes = random.oneIn(2) ? batchBytesMax - 3000 : random.integer(batchBytesMax - 3000)
    const records = Array.from({ length: Math.floor(goalBytes / 2020) }, () => ({
      key: bytes(`k${random.integer(1e6)}`),
      value: Buffer.alloc(2000, 1),
    }))
    await engine.write(records)
    if (random.oneIn(8)) void engine.snapshot({ version: ++version }).catch(() => undefined)
  }
  await engine.close()
})

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

test("a merged run that was not uploaded before a clean stop does not put older runs above newer ones", async () => {
  const settings = { ...smallRegions, maxRunsPerLevel: 3 }
  const { seams, gate, inner } = gatedSeams()
  const away = async (path: string): Promise<void> => {
    if (path.startsWith("/repository/")) throw new EngineError("REPOSITORY_FAILED", "the repository is away")
  }
  const here = gate.beforeCreate
  let engine = await openHybrid(seams, settings)
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
    await engine.snapshot({ version }).catch(() => undefined)
  }
  await untilMerged(engine, 2)
  await engine.close()
  gate.beforeCreate = here
  engine = await openHybrid(seams, settings)
  expect(await read(engine, "a")).toBe("6")
  await engine.snapshot({ version: 10 })
  const elsewhere = simulatedSeams(5, { fileSystem: inner.fileSystem })
  expect(await contents(await openHybrid(elsewhere, settings, "/other"))).toEqual(await contents(engine))
})

test("a deleted cold key stays deleted when a merge drops its tombstone before the old record was compared", async () => {
  const inner = simulatedSeams(1)
  // Reads of the serving thread wait at the gate; jobs use the file system as it is.
  const gate = new GatedFileSystem(inner.fileSystem)
  const engine = await openHybrid(
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
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  gate.beforeRead = async (path, byteCount) => {
    if (path.endsWith(".run") && byteCount === 4096) await opened
  }
  engine.delete(bytes("k5"))
  const snapshot = engine.snapshot({ version: 2 })
  await untilMerged(engine, 1)
  await turns(200)
  open()
  await snapshot
  await turns(200)
  expect(await read(engine, "k5")).toBeUndefined()
})
