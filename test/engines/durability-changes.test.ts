// The setting `durability` changes from one start to the next: what the old setting has promised is there, and from
// then on the new one holds. And a log without space: what waits for it, and what does not.

import { type Engine, type EngineName, engineNames } from "@varve/engines"
import { EngineError } from "@varve/engines/internal"
import { expect, test, vi } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { type SimulatedSeams, simulatedSeams, stopEverywhere } from "../simulation/index.ts"
import {
  afterKill,
  afterPowerLoss,
  bytes,
  contents,
  diskEngines,
  openDurable,
  openTiny,
  read,
  tinySettings,
} from "./engine-fixture.ts"
import { GatedFileSystem } from "./gated-file-system.ts"

async function fill(engine: Engine, text: string): Promise<void> {
  const pending: (Promise<void> | undefined)[] = []
  for (let i = 0; i < 60; i++) {
    const value = i % 7 === 0 ? "" : `${text} ${i} `.repeat(1 + (i % 30))
    pending.push(engine.set(bytes(`key:${i % 45}`), bytes(value)))
  }
  await Promise.all(pending)
}

async function bothAfterCrash(name: EngineName, seams: SimulatedSeams): Promise<void> {
  const engine = await openDurable(name, seams)
  await fill(engine, "acknowledged")
  const state = await contents(engine)
  const crashed = afterPowerLoss(seams)
  const replayed = await openTiny(name, crashed)
  expect(replayed.recovery).toBe("replayed")
  expect(await contents(replayed)).toEqual(state)
  await replayed.close()
}

test.each(engineNames)("%s: from log to snapshot: what was acknowledged is replayed", async (name) => {
  await bothAfterCrash(name, simulatedSeams(1))
})

test.each(diskEngines)(
  "%s: from log to snapshot, stopped anywhere on the way: the next start finds every run that it needs",
  async (name) => {
    let replayedCount = 0
    for (let seed = 1; seed <= 2; seed++) {
      const seams = simulatedSeams(seed)
      // Runs gather that the next start merges at once.
      const engine = await openDurable(name, seams, { ...tinySettings[name], maxRunsPerLevel: 8 })
      for (let version = 1; version <= 3; version++) {
        await fill(engine, `version ${version}`)
        await engine.snapshot({ version })
      }
      const state = await contents(engine)
      const started = afterKill(seams)
      const fileSystem = new GatedFileSystem(started.fileSystem)
      // The merges are faster than the file that says that the log is given up.
      fileSystem.beforeCreate = async (path) => {
        if (!path.endsWith("state.new")) return
        for (let steps = -1; steps !== started.fileSystem.steps; ) {
          steps = started.fileSystem.steps
          for (let turn = 0; turn < 20; turn++) await new Promise((next) => setImmediate(next))
        }
      }
      const stops = await stopEverywhere(
        started.fileSystem,
        async () => {
          const opened = await openTiny(name, { ...started, fileSystem })
          expect(await contents(opened)).toEqual(state)
          await opened.close()
        },
        () => undefined,
      )
      for (const { disk, number, where } of stops) {
        const again = await openTiny(name, simulatedSeams(seed, { fileSystem: disk.restartProcess() }))
        // With the log given up, the newest version is what there is after a crash: here it has everything.
        if (again.recovery === "crashed") await again.restore({ newest: true })
        else replayedCount++
        expect(await contents(again), `seed ${seed}, stop ${number}, in ${where}`).toEqual(state)
        await again.close()
      }
    }
    expect(replayedCount).toBeGreaterThan(0)
  },
)

test.each(engineNames)("%s: from snapshot to log: after a clean stop nothing is missing", async (name) => {
  const seams = simulatedSeams(1)
  const engine = await openTiny(name, seams)
  await fill(engine, "one")
  const state = await contents(engine)
  await engine.close()
  const stopped = afterPowerLoss(seams)
  const durable = await openDurable(name, stopped)
  expect(durable.recovery).toBe("continued")
  expect(await contents(durable)).toEqual(state)
  // And again before anything is written.
  const again = await openDurable(name, afterPowerLoss(stopped))
  expect(await contents(again)).toEqual(state)
  await again.close()
})

test.each(engineNames)(
  "%s: from snapshot to log after a crash: the newest version, then all",
  async (name) => {
    const seams = simulatedSeams(1)
    const engine = await openTiny(name, seams)
    await fill(engine, "one")
    await engine.snapshot({ version: 1 })
    const version = await contents(engine)
    await fill(engine, "lost")
    const crashed = afterPowerLoss(seams)
    const durable = await openDurable(name, crashed)
    expect(durable.recovery).toBe("crashed")
    expect(await contents(durable)).toEqual(version)
    await bothAfterCrash(name, afterPowerLoss(crashed))
  },
)

test.each(engineNames)("%s: empty batches, batches larger than a segment, the longest key", async (name) => {
  const seams = simulatedSeams(1)
  const engine = await openDurable(name, seams)
  await engine.write([])
  await engine.write(
    Array.from({ length: 300 }, (_, i) => ({ key: Buffer.alloc(40, i), value: bytes(`${i}`) })),
  )
  await engine.write([])
  await engine.set(Buffer.alloc(65_535, 7), bytes("the longest key"))
  const state = await contents(engine)
  const again = await openDurable(name, afterKill(seams))
  expect(await contents(again)).toEqual(state)
  await again.close()
})

test.each(engineNames)(
  "%s: on a full disk the first write waits for space; it is not refused and applied",
  async (name) => {
    // The state file names no log yet: the first write brings that about.
    const seams = simulatedSeams(1)
    const engine = await openDurable(name, seams)
    // Room for the write is prepared.
    await vi.waitUntil(() => seams.fileSystem.paths().some((path) => path.endsWith("0000000002.log")))
    const { steps } = seams.fileSystem
    seams.fileSystem.setFreeBytes(0)
    const written = { key: bytes("a"), value: bytes("1") }
    let outcome = "waits"
    const write = Promise.resolve(engine.write([{ ...written, ifAbsent: true }])).then(
      () => {
        outcome = "done"
      },
      (error: unknown) => {
        outcome = String(error)
      },
    )
    while (seams.fileSystem.steps < steps + 40) await new Promise((turn) => setImmediate(turn))
    expect(outcome).toBe("waits")
    expect([...(await contents(engine))]).toEqual([["a", "1"]])
    seams.fileSystem.setFreeBytes(Number.POSITIVE_INFINITY)
    await write
    expect(outcome).toBe("done")
    const again = await openDurable(name, afterPowerLoss(seams))
    expect([...(await contents(again))]).toEqual([["a", "1"]])
    await again.close()
  },
)

test.each(engineNames)(
  "%s: a stop does not wait for space in the log, and loses nothing acknowledged",
  async (name) => {
    const seams = simulatedSeams(1)
    const fileSystem = new GatedFileSystem(seams.fileSystem)
    const engine = await openDurable(name, { ...seams, fileSystem })
    await engine.set(bytes("a"), bytes("1"))
    await vi.waitUntil(() => seams.fileSystem.paths().some((path) => path.endsWith("0000000002.log")))
    // Runs find space, segments of the log do not.
    let refusedCount = 0
    fileSystem.beforeCreate = async (path) => {
      if (!path.endsWith(".log.tmp")) return
      refusedCount++
      throw new EngineError("STORAGE_FULL", "no space left")
    }
    // More than what is left of the first segment and the second one have room for.
    const writes = Array.from({ length: 20 }, () => engine.set(bytes("b"), Buffer.alloc(900, "x")))
    const settled = Promise.allSettled(writes)
    await vi.waitUntil(() => refusedCount > 0)
    await expectReason(engine.close(), "ENGINE_POISONED")
    expect((await settled).map(({ status }) => status)).toEqual(writes.map(() => "rejected"))
    expect(seams.fileSystem.openPaths).toEqual([])
    const again = await openDurable(name, afterPowerLoss(seams))
    expect(await read(again, "a")).toBe("1")
    await again.close()
  },
)

test.each(engineNames)(
  "%s: a file that cannot be closed at a stop does not keep the directory",
  async (name) => {
    let refusedCount = 0
    for (let nth = 1; nth <= 6; nth++) {
      const seams = simulatedSeams(nth)
      const engine = await openDurable(name, seams)
      await fill(engine, "acknowledged")
      const state = await contents(engine)
      seams.fileSystem.failNth("close", nth)
      await engine.close().catch(() => {
        refusedCount++
      })
      seams.fileSystem.forgetFaults()
      const again = await openDurable(name, seams)
      expect(await contents(again)).toEqual(state)
      await again.close()
    }
    expect(refusedCount).toBeGreaterThan(0)
  },
)
