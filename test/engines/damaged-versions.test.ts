// A version whose manifest is damaged is a version that cannot be read, not one that never was: whoever asks for it, by
// its number or as the newest, hears of the damage. No older version is put back in its place.

import { type Engine, type EngineName, engineNames, openEngine } from "@varve/engines"
import { expect, test } from "vitest"
import { type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, openTiny, read } from "./engine-fixture.ts"

/** Versions 1 and 2 of one key, then a kill; the manifest of `damaged` has one bit wrong. */
async function killedWith(name: EngineName, damaged: number): Promise<SimulatedSeams> {
  const seams = simulatedSeams(1)
  const engine = await openTiny(name, seams)
  for (const version of [1, 2]) {
    await engine.set(bytes("key"), bytes(`${version}`))
    await engine.snapshot({ version })
  }
  const next = afterKill(seams)
  const path = next.fileSystem
    .paths()
    .find((each) => each.includes(`/${String(damaged).padStart(16, "0")}-`))!
  next.fileSystem.flip(path, 100)
  return next
}

function openUnrestored(name: EngineName, seams: SimulatedSeams): Promise<Engine> {
  return openEngine({
    engine: name,
    directory: "/partition",
    repository: "file:/repository",
    valueBytesMax: 2048,
    seams,
    owner: { checkIntervalMs: 0 },
    restoreAfterCrash: false,
  })
}

test.each(engineNames)("%s: after a crash the newest version, damaged, is not passed over", async (name) => {
  const seams = await killedWith(name, 2)
  await expect(openTiny(name, seams)).rejects.toMatchObject({ reason: "DATA_LOSS" })
  expect(seams.fileSystem.openPaths).toEqual([])
})

test.each(engineNames)("%s: nor is it in a directory that is new", async (name) => {
  const seams = await killedWith(name, 2)
  await seams.fileSystem.removeDirectory("/partition")
  await expect(openTiny(name, seams)).rejects.toMatchObject({ reason: "DATA_LOSS" })
})

test.each(engineNames)("%s: the only version, damaged, does not make the state empty", async (name) => {
  const seams = await killedWith(name, 2)
  const first = seams.fileSystem.paths().find((path) => path.includes("/0000000000000001-"))!
  await seams.fileSystem.remove(first)
  await expect(openTiny(name, seams)).rejects.toMatchObject({ reason: "DATA_LOSS" })
})

test.each(engineNames)("%s: an older version, damaged, is in nobody's way", async (name) => {
  const engine = await openTiny(name, await killedWith(name, 1))
  expect(await read(engine, "key")).toBe("2")
  await expect(engine.restore({ version: 1 })).rejects.toMatchObject({ reason: "DATA_LOSS" })
  await engine.close()
})

test.each(engineNames)(
  "%s: an older version can be asked for, and the next one starts a timeline",
  async (name) => {
    const engine = await openUnrestored(name, await killedWith(name, 2))
    await expect(engine.restore({ newest: true })).rejects.toMatchObject({ reason: "DATA_LOSS" })
    await engine.restore({ version: 1 })
    expect(await read(engine, "key")).toBe("1")
    // The damaged one has this number on the old timeline.
    await engine.snapshot({ version: 2 })
    await engine.close()
  },
)

test.each(engineNames)("%s: a damaged version can be deleted, and is the newest no more", async (name) => {
  const seams = await killedWith(name, 2)
  const engine = await openUnrestored(name, seams)
  await engine.deleteVersion(2)
  await engine.close()
  const again = await openUnrestored(name, afterKill(seams))
  await again.restore({ newest: true })
  expect(await read(again, "key")).toBe("1")
  await again.close()
})
