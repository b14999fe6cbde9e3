// Engines that take one partition from one another, each in a directory of its own, over one repository.

import { cp, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Engine, type OpenEngineOptions, openEngine } from "@varve/engines"
import { afterEach, describe, expect, onTestFinished, test } from "vitest"
import { SimulatedClock, type SimulatedSeams, simulatedSeams } from "../simulation/index.ts"
import { afterKill, bytes, read, tinySettings } from "./engine-fixture.ts"

const fenced = { reason: "OWNER_FENCED" }
const opened: Engine[] = []

function open(
  directory: string,
  seams: SimulatedSeams,
  more: Partial<OpenEngineOptions> = {},
): Promise<Engine> {
  return openEngine({
    engine: "hybrid-log",
    directory,
    repository: "file:/repository",
    settings: tinySettings["hybrid-log"],
    valueBytesMax: 2048,
    owner: { name: directory, checkIntervalMs: 0 },
    seams,
    ...more,
  }).then((engine) => {
    opened.push(engine)
    return engine
  })
}

async function put(engine: Engine, value: string, version?: number): Promise<void> {
  await engine.set(bytes("key"), bytes(value))
  if (version !== undefined) await engine.snapshot({ version })
}

afterEach(async () => {
  for (const engine of opened.splice(0)) await engine.close()
})

describe("an engine whose partition was taken", () => {
  test("is fenced by its next version: from then on it answers nothing, and says who has the partition", async () => {
    const seams = simulatedSeams(1)
    const losses: string[] = []
    const first = await open("/first", seams, { onFenced: ({ message }) => losses.push(message) })
    await put(first, "one", 1)
    expect(first.owner).toEqual({ epoch: 1, isFenced: false })
    const second = await open("/second", seams)
    expect([second.owner.epoch, await read(second, "key")]).toEqual([2, "one"])
    await put(second, "two", 2)
    await put(first, "stale")
    await expect(first.snapshot({ version: 2 })).rejects.toMatchObject(fenced)
    expect(first.owner).toEqual({ epoch: 1, isFenced: true })
    expect(losses.at(-1)).toContain("/second, epoch 2")
    expect(() => first.set(bytes("key"), bytes("x"))).toThrow(losses.at(-1))
    expect(() => first.get(bytes("key"))).toThrow(losses.at(-1))
    expect(() => first.getMany([bytes("key")])).toThrow(losses.at(-1))
    expect(() => first.scan()).toThrow(losses.at(-1))
    for (const refused of [
      first.snapshot({ version: 3 }),
      first.restore({ version: 1 }),
      first.deleteVersion(1),
      first.pinVersion(1, true),
    ]) {
      await expect(refused).rejects.toMatchObject(fenced)
    }
    for (const engine of [first, second]) {
      expect((await engine.listVersions()).map(({ version, epoch }) => [version, epoch])).toEqual([
        [1, 1],
        [2, 2],
      ])
    }
  })

  test("finds out by itself, without any version, and while the repository fails goes on asking", async () => {
    const clock = new SimulatedClock()
    const seams = simulatedSeams(1, { clock })
    const warnings: string[] = []
    const first = await open("/first", seams, {
      owner: { checkIntervalMs: 5000 },
      onWarning: (message) => warnings.push(message),
      onFenced: () => undefined,
    })
    await put(first, "one")
    await clock.advance(5000)
    expect(first.owner.isFenced).toBe(false)
    const second = await open("/second", seams)
    seams.fileSystem.failNth("status", 1)
    await clock.advance(5000)
    await expect.poll(() => warnings).toHaveLength(1)
    expect(first.owner.isFenced).toBe(false)
    await put(first, "unknown")
    await clock.advance(5000)
    await expect.poll(() => first.owner.isFenced).toBe(true)
    expect(() => first.set(bytes("key"), bytes("x"))).toThrow(/taken over/)
    await first.close()
    await second.close()
    expect(clock.sleeperCount).toBe(0)
  })
})

describe("a directory", () => {
  const endings = [
    ["a clean stop", "snapshot"],
    ["a clean stop", "log"],
    ["a kill", "snapshot"],
    ["a kill", "log"],
  ] as const

  test.each(endings)(
    "that another owner has overtaken since %s, durability %s, is brought to that one's last version",
    async (ending, durability) => {
      const seams = simulatedSeams(1)
      const first = await open("/first", seams, { durability })
      await put(first, "one", 1)
      await put(first, "only here")
      const after = await end(ending, first, seams)
      const second = await open("/second", after)
      await put(second, "two", 2)
      // It goes back and on along another timeline: what the first one's line says of the newest is over.
      await second.restore({ version: 1 })
      await put(second, "three", 3)
      await second.close()
      const again = await open("/first", after, { durability })
      expect(again.recovery).toBe(ending === "a kill" && durability === "snapshot" ? "crashed" : "overtaken")
      expect([await read(again, "key"), again.position.version]).toEqual(["three", 3])
      await put(again, "four", 4)
      expect((await again.listVersions()).map(({ version }) => version)).toEqual([1, 2, 3, 4])
    },
  )

  test("stays overtaken when it is killed before that one's version is there", async () => {
    const seams = simulatedSeams(1)
    const first = await open("/first", seams, { durability: "log" })
    await put(first, "one", 1)
    const after = await end("a kill", first, seams)
    const second = await open("/second", after)
    await put(second, "two", 2)
    await second.close()
    const unrestored = await open("/first", after, { durability: "log", restoreAfterCrash: false })
    expect([unrestored.recovery, await read(unrestored, "key")]).toEqual(["overtaken", "one"])
    // The other one's version stands on the same timeline, and is none of this state.
    expect(unrestored.position.version).toBe(1)
    const later = await end("a kill", unrestored, after)
    const again = await open("/first", later, { durability: "log" })
    expect([again.recovery, await read(again, "key")]).toEqual(["overtaken", "two"])
  })

  test.each(["snapshot", "log"] as const)(
    "goes on where it stopped when the other owner wrote no version, durability %s",
    async (durability) => {
      const seams = simulatedSeams(1)
      const first = await open("/first", seams, { durability })
      await put(first, "one", 1)
      await put(first, "only here")
      await first.close()
      await (await open("/second", seams)).close()
      const again = await open("/first", seams, { durability })
      expect([again.recovery, again.owner.epoch, await read(again, "key")]).toEqual([
        "continued",
        3,
        "only here",
      ])
    },
  )

  test("of an engine that was fenced is no state to continue", async () => {
    const seams = simulatedSeams(1)
    const first = await open("/first", seams)
    await put(first, "one", 1)
    const second = await open("/second", seams)
    await put(first, "stale")
    await expect(first.snapshot({ version: 2 })).rejects.toMatchObject(fenced)
    await first.close()
    await second.close()
    const again = await open("/first", seams)
    expect([again.recovery, await read(again, "key")]).toEqual(["crashed", "one"])
  })
})

test("versions of software that knew no owners open, and are followed by others", async () => {
  const data = await mkdtemp(join(tmpdir(), "varve-without-owners-"))
  onTestFinished(() => rm(data, { recursive: true, force: true }))
  await cp(fileURLToPath(new URL("data/without-owners", import.meta.url)), data, { recursive: true })
  const options = {
    engine: "hybrid-log",
    repository: `file:${data}/repository`,
    store: "golden",
    owner: { checkIntervalMs: 0 },
  } as const
  const keys = Array.from({ length: 20 }, (_, i) => bytes(`key-${i}`))
  const contents = async (engine: Engine): Promise<string[]> =>
    (await engine.getMany(keys)).map((value) => Buffer.from(value ?? "none").toString())
  const first = keys.map((_, i) => `one ${i}`)
  const second = first.map((value, i) => (i >= 5 && i < 10 ? `two ${i}` : value))

  const continued = await openEngine({ ...options, directory: join(data, "partition") })
  expect(continued.recovery).toBe("continued")
  expect(await contents(continued)).toEqual(second)
  await continued.restore({ version: 1 })
  expect(await contents(continued)).toEqual(first)
  await continued.set(keys[0]!, bytes("three"))
  await continued.snapshot({ version: 3 })
  // Software that still knows no owners comes too late: its version is none.
  const timeline = (await continued.listVersions())[0]!.timeline
  const folder = join(data, "repository/stores/golden/0", timeline)
  await cp(
    join(folder, `${"2".padStart(16, "0")}.manifest`),
    join(folder, `${"9".padStart(16, "0")}.manifest`),
  )
  expect(
    (await continued.listVersions()).map(({ version, epoch, pinned }) => [version, epoch, pinned]),
  ).toEqual([
    [1, 0, true],
    [2, 0, false],
    [3, 1, false],
  ])
  await continued.deleteVersion(2)
  await continued.close()

  const restored = await openEngine({ ...options, directory: join(data, "elsewhere") })
  expect(await contents(restored)).toEqual(first.with(0, "three"))
  expect((await restored.listVersions()).map(({ version }) => version)).toEqual([1, 3])
  await restored.restore({ version: 1 })
  expect(await contents(restored)).toEqual(first)
  await restored.close()
})

/** Ends the life of `engine`; the world after it. */
async function end(ending: string, engine: Engine, seams: SimulatedSeams): Promise<SimulatedSeams> {
  opened.splice(opened.indexOf(engine), 1)
  if (ending === "a kill") return afterKill(seams)
  await engine.close()
  return seams
}
