// Versions of every engine, read where they are stored, are what the engine held: record for record, key for key.

import { engineNames } from "@varve/engines"
import { RunShelf, recordsOf, StoreVersionReader, VersionReader } from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { bytes, contents, openTiny } from "../engines/engine-fixture.ts"
import { seedsUpTo, simulatedSeams } from "../simulation/index.ts"
import { type KnownVersion, live, noKey, openRepository } from "./version-lives.ts"

const text = (value: Uint8Array): string => Buffer.from(value).toString()

async function scanned(
  reader: VersionReader,
  options: Parameters<VersionReader["scan"]>[0] = {},
): Promise<[string, string][]> {
  const found: [string, string][] = []
  for await (const page of reader.scan(options)) {
    for (const { key, value } of page) found.push([text(key), text(value)])
  }
  return found
}

function sorted(entries: Iterable<[string, string]>): [string, string][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
}

async function check(reader: VersionReader, { model }: KnownVersion, what: string): Promise<void> {
  const all = await scanned(reader)
  expect(reader.isOrdered ? all : sorted(all), what).toEqual(sorted(model))
  expect(await reader.count(), what).toBe(model.size)
  const keys = [...model.keys(), noKey, "key:1:1", "k007072862", "k020413665"]
  const places = await reader.locate(keys.map(bytes))
  const values = places.map((place, i) =>
    place === undefined ? undefined : reader.read(place, bytes(keys[i]!)),
  )
  const read = (await Promise.all(values)).map((value) => (value === undefined ? undefined : text(value)))
  expect(read, what).toEqual(keys.map((key) => model.get(key)))
  const selected = (is: (key: string) => boolean): [string, string][] =>
    sorted([...model].filter(([key]) => is(key)))
  expect(sorted(await scanned(reader, { prefix: bytes("key:3") })), what).toEqual(
    selected((key) => key.startsWith("key:3")),
  )
  expect(sorted(await scanned(reader, { start: bytes("k03"), end: bytes("key:4:2") })), what).toEqual(
    selected((key) => key >= "k03" && key < "key:4:2"),
  )
  const bounded = { prefix: bytes("key:5"), start: bytes("key:5:3"), keysOnly: true }
  expect(sorted(await scanned(reader, bounded)), what).toEqual(
    selected((key) => key.startsWith("key:5") && key >= "key:5:3").map(([key]) => [key, ""]),
  )
}

describe.each(engineNames)("%s", (name) => {
  test.each(seedsUpTo(1))("all versions on all timelines are what the engine held, seed %i", async (seed) => {
    const { seams, engine, versions } = await live(name, seed)
    const repository = await openRepository(seams)
    const shelf = new RunShelf(repository)
    expect(new Set(versions.map(({ timeline }) => timeline)).size).toBeGreaterThan(1)
    for (const version of versions) {
      const reader = await VersionReader.open(await repository.readManifest("default", 0, version), shelf)
      expect(reader.isOrdered).toBe(name === "lsm-tree")
      await check(reader, version, `seed ${seed}, version ${version.timeline}/${version.version}`)
    }
    await shelf.close()
    await engine.close()
  })

  test("records of a version build the same state in any engine", async () => {
    const { seams, engine, versions } = await live(name, 5)
    const { model, ...version } = versions.at(-1)!
    const repository = await openRepository(seams)
    const shelf = new RunShelf(repository)
    const reader = await VersionReader.open(await repository.readManifest("default", 0, version), shelf)
    for (const target of engineNames) {
      const other = await openTiny(target, simulatedSeams(7))
      for await (const page of reader.records()) {
        // Tiny engines take tiny batches.
        for (const { key, value } of recordsOf(page)) await other.set(key, value)
      }
      expect(await contents(other)).toEqual(model)
      await other.close()
    }
    await shelf.close()
    await engine.close()
  })
})

test("an empty version has no records, and a bad key is refused", async () => {
  const seams = simulatedSeams(1)
  const engine = await openTiny("hybrid-log", seams)
  const { timeline } = await engine.snapshot({ version: 1 })
  const repository = await openRepository(seams)
  const shelf = new RunShelf(repository)
  const manifest = await repository.readManifest("default", 0, { timeline, version: 1 })
  const reader = await VersionReader.open(manifest, shelf)
  expect(await scanned(reader)).toEqual([])
  expect(await reader.get(bytes("a"))).toBeUndefined()
  await expect(reader.get(bytes(""))).rejects.toMatchObject({ reason: "KEY_EMPTY" })
  const store = new StoreVersionReader([reader], () => 0)
  expect(await store.get(bytes("a"))).toBeUndefined()
  for await (const page of store.scan()) expect(page).toBeUndefined()
  await engine.close()
})
