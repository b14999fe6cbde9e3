// What a restore may be told besides the version: what to do about a damaged one; and how long what it replaced is kept.

import {
  type Engine,
  engineNames,
  openEngine,
  type ReplacedStateRetention,
  type RestoreOptions,
} from "@varve/engines"
import { expect, test } from "vitest"
import { expectReason } from "../io/expect-error.ts"
import { SimulatedClock, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { bytes, openTiny, read, tinySettings } from "./engine-fixture.ts"

function manifestOf({ fileSystem }: SimulatedSeams, version: number): string {
  const name = `/${String(version).padStart(16, "0")}-`
  return fileSystem.paths().find((path) => path.endsWith(".manifest") && path.includes(name))!
}

test.each(engineNames)("%s: a fallback passes over damaged versions, and over no others", async (name) => {
  const seams = simulatedSeams(1)
  const warnings: string[] = []
  const engine = await openEngine({
    engine: name,
    directory: "/partition",
    repository: "file:/repository",
    settings: tinySettings[name],
    owner: { checkIntervalMs: 0 },
    seams,
    onWarning: (message) => warnings.push(message),
  })
  for (const version of [1, 2, 3]) {
    await engine.set(bytes("key"), bytes(`at ${version}`))
    await engine.snapshot({ version })
  }
  const { skipped: none } = await engine.restore({ newest: true, fallback: "previous" })
  expect(none).toEqual([])
  const { timeline } = engine.position
  seams.fileSystem.flip(manifestOf(seams, 3), 300)
  await expectReason(engine.restore({ newest: true }), "DATA_LOSS")
  await expectReason(engine.restore({ version: 3 }), "DATA_LOSS")
  expect(await read(engine, "key")).toBe("at 3")
  const { skipped, version } = await engine.restore({ newest: true, fallback: "previous" })
  expect(version).toBe(2)
  expect(skipped).toEqual([{ version: 3, timeline, why: expect.stringContaining(".manifest") }])
  expect(warnings.filter((text) => text.includes("version 3 of timeline"))).toHaveLength(1)
  expect(await read(engine, "key")).toBe("at 2")
  // The damaged one keeps its place: what comes next is on another timeline.
  expect((await engine.snapshot({ version: 4 })).timeline).not.toBe(timeline)
  for (const each of [1, 2, 4]) seams.fileSystem.flip(manifestOf(seams, each), 300)
  const message = await expectReason(engine.restore({ newest: true, fallback: "previous" }), "DATA_LOSS")
  expect(message).toContain(manifestOf(seams, 4).slice("/repository/".length))
  expect(await read(engine, "key")).toBe("at 2")
  await engine.close()
})

test.each(["append-log", "lsm-tree"] as const)(
  "%s: a version that its name shows to be meant is put back without reading the manifests of the others",
  async (name) => {
    const seams = simulatedSeams(1)
    let engine = await openTiny(name, seams)
    for (let version = 1; version <= 9; version++) {
      await engine.set(bytes("key"), bytes(`at ${version}`))
      await engine.snapshot({ version })
    }
    const { timeline } = engine.position
    await engine.close()
    const read = new Set<string>()
    seams.fileSystem.onCall = (words) => {
      const path = / open (\S+\.manifest)/.exec(words)?.[1]
      if (path !== undefined) read.add(path)
    }
    const restored = async (options: RestoreOptions): Promise<[version: number, manifests: number]> => {
      engine = await openTiny(name, seams)
      read.clear()
      const { version } = await engine.restore(options)
      const manifests = read.size
      await engine.close()
      return [version, manifests]
    }
    expect(await restored({ newest: true })).toEqual([9, 1])
    expect(await restored({ version: 4, timeline })).toEqual([4, 1])
    // The number alone may stand for versions of other timelines.
    expect((await restored({ version: 4 }))[0]).toBe(4)
    // No version is on the timeline that version 4 has opened: the newest of the line is looked for.
    const [version, manifests] = await restored({ newest: true })
    expect(version).toBe(4)
    expect(manifests).toBeGreaterThan(1)
  },
)

async function engineThatKeeps(
  seams: SimulatedSeams,
  replacedStateRetention: ReplacedStateRetention,
): Promise<Engine> {
  return openEngine({
    engine: "memory",
    directory: "/partition",
    repository: "file:/repository",
    owner: { checkIntervalMs: 0 },
    seams,
    replacedStateRetention,
  })
}

test("replaced states are kept as many, and as long, as is set", async () => {
  const clock = new SimulatedClock()
  const seams = simulatedSeams(1, { clock })
  const engine = await engineThatKeeps(seams, { count: 2, ms: 600_000 })
  const handles: string[] = []
  for (let i = 0; i < 3; i++) {
    await engine.set(bytes("key"), bytes(`state ${i}`))
    handles.push((await engine.restore({ empty: true })).replaced)
  }
  await expectReason(engine.restore({ replaced: handles[0]! }), "REPLACED_STATE_NOT_FOUND")
  await engine.restore({ replaced: handles[2]! })
  expect(await read(engine, "key")).toBe("state 2")
  await clock.advance(600_001)
  const { replaced } = await engine.restore({ empty: true })
  await expectReason(engine.restore({ replaced: handles[2]! }), "REPLACED_STATE_NOT_FOUND")
  await engine.close()
  const again = await engineThatKeeps(simulatedSeams(2, { fileSystem: seams.fileSystem, clock }), {
    count: 1,
  })
  await again.restore({ replaced })
  expect(await read(again, "key")).toBe("state 2")
  await again.close()
})

test.each([{ count: 0 }, { count: 101 }, { count: 1.5 }, { ms: 59_999 }, { ms: Number.NaN }])(
  "replaced states cannot be kept as %o",
  async (retention) => {
    const seams = simulatedSeams(1)
    await expectReason(engineThatKeeps(seams, retention), "SETTING_INVALID")
    const engine = await openTiny("memory", seams)
    await engine.close()
  },
)
