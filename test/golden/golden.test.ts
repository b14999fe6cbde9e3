// Files that were kept of each generation of formats open with this software, and hold what they held. The files of this
// generation are what this software writes; those of the next one it refuses.

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import {
  DirectoryObjectStore,
  encodeRecord,
  Repository,
  RunShelf,
  VersionReader,
  verifyVersions,
} from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { bytes, contents } from "../engines/engine-fixture.ts"
import {
  SimulatedClock,
  SimulatedFileSystem,
  type SimulatedSeams,
  simulatedSeams,
} from "../simulation/index.ts"
import { GENERATION, samples } from "./generation.ts"
import { DIRECTORY, frameOf, type LifeText, openLife, type Records, STORE, sortedRecords } from "./life.ts"
import { textOf } from "./sample.ts"

const root = fileURLToPath(new URL(".", import.meta.url))
/** Any but that of the files: what is drawn anew must not meet what is there. */
const SEED = 2
/** From the files of the kept lives to now: they are of the past. */
const LATER_MS = 30 * 24 * 60 * 60 * 1000
const generations = readdirSync(root).filter((name) => /^\d+$/.test(name))

const kept = (...names: string[]): Buffer => readFileSync(join(root, ...names))

describe.each(generations)("golden files of generation %s", (generation) => {
  test.each(readdirSync(join(root, generation, "samples")).filter((name) => !name.endsWith(".txt")))(
    "%s says what it said",
    async (name) => {
      const sample = samples.find((each) => each.name === name)
      expect(sample, "nothing reads it any more").toBeDefined()
      const said = kept(generation, "samples", `${name}.txt`).toString()
      expect(textOf(await sample!.read(kept(generation, "samples", name)))).toBe(said)
    },
  )

  describe.each(readdirSync(join(root, generation, "lives")))("%s", (name) => {
    const folder = join(generation, "lives", name)
    const text = JSON.parse(kept(folder, "holds.txt").toString()) as LifeText

    test("its directory opens: the state is there, goes on, and older versions come back", async () => {
      const seams = await diskOf(folder)
      const engine = await openLife(text, seams)
      const recovery = text.durability === "log" ? "replayed" : "continued"
      expect(engine.recovery).toBe(recovery)
      expect(sortedRecords(await contents(engine))).toEqual(text.present)
      if (text.lastFrame !== undefined) {
        const copy = encodeRecord(bytes("copy"), bytes("value"))
        await engine.writeEncoded(copy, undefined, frameOf(text.lastFrame)).pending
        expect(sortedRecords(await contents(engine)), "a frame that it has").toEqual(text.present)
      }
      await engine.set(bytes("new"), bytes("value"))
      await engine.snapshot({ version: 9 })
      for (const { timeline, version, records, metadata } of text.versions) {
        const restored = await engine.restore({ timeline, version })
        expect(Buffer.from(restored.metadata).toString()).toBe(metadata)
        expect(sortedRecords(await contents(engine)), `${timeline}/${version}`).toEqual(records)
      }
      await engine.restore({ version: 9, timeline: engine.position.timeline })
      await engine.close()
    })

    test("its repository alone gives every version, and proves them", async () => {
      const seams = await diskOf(folder)
      const objectStore = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
      const repository = await Repository.open(objectStore, seams)
      const listed = await repository.listVersions(STORE, 0)
      expect(listed.map(({ timeline, version, pinNames }) => ({ timeline, version, pinNames }))).toEqual(
        text.versions.map(({ timeline, version, pinNames }) => ({ timeline, version, pinNames })),
      )
      const manifests = await Promise.all(listed.map((each) => repository.readManifest(STORE, 0, each)))
      expect(await verifyVersions(objectStore, repository, manifests)).toMatchObject({ damage: [] })
      const shelf = new RunShelf(repository)
      for (const [at, manifest] of manifests.entries()) {
        const records = await scanned(await VersionReader.open(manifest, shelf))
        expect(records).toEqual(text.versions[at]!.records)
      }
      await shelf.close()
      await repository.close()
    })
  })
})

describe("golden files of this generation", () => {
  test.each(samples.map((sample) => [sample.name, sample] as const))(
    "%s is what is written",
    async (name, sample) => {
      // Another format? Raise GENERATION and make its files; this folder stays as it is.
      expect(Buffer.from(await sample.make()).equals(kept(String(GENERATION), "samples", name))).toBe(true)
    },
  )

  test("every sample and every engine is kept", () => {
    const folder = join(root, String(GENERATION))
    const names = samples.flatMap(({ name }) => [name, `${name}.txt`])
    expect(readdirSync(join(folder, "samples")).sort()).toEqual(names.sort())
  })

  const numbered = samples.filter(({ newer }) => newer !== undefined)
  test.each(numbered.map((sample) => [sample.name, sample] as const))(
    "%s of a newer format is refused, by its name",
    async (_name, sample) => {
      const newer = sample.newer!(await sample.make())
      await expect((async () => sample.read(newer))()).rejects.toMatchObject({
        reason: "FORMAT_NEWER",
        message: expect.stringContaining(sample.called) as string,
      })
    },
  )
})

/** A disk with the files of a life, some time after it ended. */
async function diskOf(folder: string): Promise<SimulatedSeams> {
  const clock = new SimulatedClock({ autoAdvance: true })
  await clock.sleep(LATER_MS)
  const disk = new SimulatedFileSystem({ seed: SEED, clock })
  const files = join(root, folder, "files")
  for (const name of readdirSync(files, { recursive: true, encoding: "utf8", withFileTypes: true })) {
    if (!name.isFile()) continue
    const source = join(name.parentPath, name.name)
    const path = source.slice(files.length)
    await disk.makeDirectory(path.slice(0, path.lastIndexOf("/")))
    const file = await disk.open(path, "create")
    await file.write(readFileSync(source), 0)
    await file.sync()
    await file.close()
  }
  await disk.syncDirectory(DIRECTORY)
  return simulatedSeams(SEED, { fileSystem: disk, clock })
}

async function scanned(reader: VersionReader): Promise<Records> {
  const found: [string, string][] = []
  for await (const page of reader.scan()) {
    for (const { key, value } of page)
      found.push([Buffer.from(key).toString(), Buffer.from(value).toString()])
  }
  return sortedRecords(found)
}
