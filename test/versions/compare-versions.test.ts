// Differences between versions, and the history of a key, are those of the maps that the engine held.

import { engineNames } from "@varve/engines"
import {
  compareVersions,
  DirectoryObjectStore,
  KeyHistory,
  type ObjectStore,
  Repository,
  RunShelf,
  sharedContent,
  VersionReader,
} from "@varve/engines/internal"
import { describe, expect, test } from "vitest"
import { collidingPairs, FixedHashSeed } from "../engines/colliding-keys.ts"
import { bytes, openTiny } from "../engines/engine-fixture.ts"
import { simulatedSeams } from "../simulation/index.ts"
import { type KnownVersion, live, noKey, openRepository } from "./version-lives.ts"

type Change = readonly [key: string, before: string | undefined, after: string | undefined]

const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString()

async function differences(
  repository: Repository,
  [before, after]: readonly [KnownVersion, KnownVersion],
  keysMax: number,
): Promise<Change[]> {
  const shelf = new RunShelf(repository)
  const open = async (version: KnownVersion): Promise<VersionReader> =>
    VersionReader.open(await repository.readManifest("default", 0, version), shelf)
  const changes: Change[] = []
  const pages = compareVersions(repository, shelf, await open(before), await open(after), { keysMax })
  for await (const page of pages) {
    for (const each of page) changes.push([text(each.key)!, text(each.before), text(each.after)])
  }
  await shelf.close()
  return changes.sort(([a], [b]) => (a < b ? -1 : 1))
}

function modelDifferences(before: KnownVersion, after: KnownVersion): Change[] {
  const keys = [...new Set([...before.model.keys(), ...after.model.keys()])].sort()
  return keys
    .map((key) => [key, before.model.get(key), after.model.get(key)] as const)
    .filter(([, a, b]) => a !== b)
}

describe.each(engineNames)("%s", (name) => {
  test("any two versions differ by what their maps differ, in one pass or in many", async () => {
    const { seams, engine, versions } = await live(name, 3)
    const repository = await openRepository(seams)
    const pairs = versions.flatMap((version, i) => {
      const others = [versions[i - 1], versions[(i * 3) % i]]
      return others.flatMap((other) => (other === undefined ? [] : [[other, version] as const]))
    })
    expect(pairs.length).toBeGreaterThan(10)
    for (const [i, pair] of pairs.entries()) {
      const what = pair.map(({ timeline, version }) => `${timeline}/${version}`).join(" and ")
      expect(await differences(repository, pair, i % 3 === 0 ? 40 : 1e6), what).toEqual(
        modelDifferences(...pair),
      )
    }
    await engine.close()
  })

  test("the history of a key is what each version holds of it", async () => {
    const { seams, engine, versions } = await live(name, 4)
    const repository = await openRepository(seams)
    const keys = [...new Set(versions.flatMap(({ model }) => [...model.keys()]))]
    for (const key of [...keys.filter((_, i) => i % 6 === 0), noKey]) {
      const history = new KeyHistory(repository, bytes(key))
      for (const version of versions) {
        const manifest = await repository.readManifest("default", 0, version)
        expect(text(await history.valueIn(manifest)), key).toBe(version.model.get(key))
      }
    }
    await engine.close()
  })
})

test.each([
  ["lsm-tree", { maxRunsPerLevel: 64 }],
  ["append-log", { threshold: 4 * 1024 * 1024 }],
] as const)("%s: equal chunks in another order are no equal versions", async (name, settings) => {
  const seams = simulatedSeams(1)
  const engine = await openTiny(name, { ...seams, random: new FixedHashSeed(seams.random) }, settings)
  const keys = [...collidingPairs.flat(), ...Array.from({ length: 1500 }, (_, i) => `key ${i}`)]
  const life = async (timeline: string, values: readonly string[]): Promise<KnownVersion> => {
    await engine.restore({ empty: true, newTimeline: timeline })
    const model = new Map<string, string>()
    for (const [i, value] of values.entries()) {
      for (const key of keys) {
        model.set(key, `${value} ${key} `.repeat(24))
        await engine.set(bytes(key), bytes(model.get(key)!))
      }
      // Sorted runs have a key once: a version makes a run of each half.
      if (name === "lsm-tree" || i === values.length - 1) await engine.snapshot({ version: i + 1 })
    }
    return { timeline, version: values.length, model }
  }
  const pair = [await life("a", ["one", "two"]), await life("b", ["two", "one"])] as const
  const repository = await openRepository(seams)
  const manifests = await Promise.all(pair.map((each) => repository.readManifest("default", 0, each)))
  const { shared } = await sharedContent(repository, [manifests[0]!], [manifests[1]!])
  expect(shared.bytes).toBeGreaterThan(50_000)
  expect(await differences(repository, pair, 1e6)).toEqual(modelDifferences(...pair))
  await engine.close()
})

/** Counts the bytes that are asked for. */
function counting(store: ObjectStore, onBytes: (bytes: number) => void): ObjectStore {
  return {
    url: store.url,
    get: async (key, range) => {
      const source = await store.get(key, range)
      onBytes(source?.length ?? 0)
      return source
    },
    create: (key, parts) => store.create(key, parts),
    list: (prefix) => store.list(prefix),
    remove: (key) => store.remove(key),
    close: () => store.close(),
  }
}

test.each(["memory", "hybrid-log"] as const)(
  "%s: what two versions share is not read to compare them",
  async (name) => {
    const seams = simulatedSeams(1)
    const engine = await openTiny(name, seams, name === "memory" ? undefined : { maxRunsPerLevel: 64 })
    const model = new Map<string, string>()
    const set = async (key: string, value: string): Promise<void> => {
      model.set(key, value)
      await engine.set(bytes(key), bytes(value))
    }
    for (let i = 0; i < 4000; i++) await set(`key ${i}`, `${i} `.repeat(60))
    const { timeline } = await engine.snapshot({ version: 1 })
    const before = { timeline, version: 1, model: new Map(model) }
    await set("key 2000", "another")
    await engine.snapshot({ version: 2 })
    const after = { timeline, version: 2, model }
    await engine.close()

    let bytesRead = 0
    const store = await DirectoryObjectStore.open(seams.fileSystem, "/repository")
    const repository = await Repository.open(
      counting(store, (count) => {
        bytesRead += count
      }),
      seams,
    )
    expect(await differences(repository, [before, after], 1e6)).toEqual(modelDifferences(before, after))
    const manifests = [
      await repository.readManifest("default", 0, before),
      await repository.readManifest("default", 0, after),
    ] as const
    const recordsBytes = manifests[0].runs.reduce((sum, run) => sum + run.recordsBytes, 0)
    expect(recordsBytes).toBeGreaterThan(1_000_000)
    expect(bytesRead).toBeLessThan(recordsBytes / 4)

    const shared = await sharedContent(repository, [manifests[0]], [manifests[1]])
    expect(shared.shared.bytes).toBeGreaterThan(recordsBytes * 0.9)
    expect(shared.after.bytes).toBeGreaterThan(0)
    const total = manifests[1].runs.reduce((sum, run) => sum + run.bytes, 0)
    expect(shared.shared.bytes + shared.after.bytes).toBe(total)
  },
)
