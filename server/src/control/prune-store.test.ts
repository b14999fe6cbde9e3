// Pruning beside others: what happened between the decision and the removal is looked at again.

import { deepStrictEqual, rejects } from "node:assert"
import { type Engine, EngineError, type VersionSummary } from "@varve/engines"
import { SystemClock, SystemRandom } from "@varve/engines/internal"
import { test } from "vitest"
import type { StoreSettings } from "../config/settings.ts"
import { Partition } from "./partition.ts"
import { pruneStore } from "./prune-store.ts"
import { Store, type StoreRepository } from "./store.ts"

const NOW = 1_767_225_600_000
const RULES = { keepLast: 1, keepForMs: 0 }

/** Never asked: the store had as many partitions always. */
const noRepository = {} as StoreRepository

/** An engine that has versions 1 to 4 and stands on the last one. */
class ListedEngine {
  position = { version: 4, timeline: "a", metadata: new Uint8Array(0) }
  readonly line = [{ timeline: "a", version: Number.MAX_SAFE_INTEGER }]
  versions = [1, 2, 3, 4]
  /** Called before each removal. */
  onDelete: (version: number) => void = () => undefined

  async listVersions(): Promise<VersionSummary[]> {
    return this.versions.map((version) => ({
      ...{ version, timeline: "a", epoch: 1, parent: null, line: [{ timeline: "a", version }] },
      ...{ createdMs: version, engine: "memory", partitionCount: 2, recordCount: 0, bytes: 0, bytesNew: 0 },
      ...{ metadata: new Uint8Array(0), pinned: false, pinNames: [] },
    }))
  }

  damagedVersions(): [] {
    return []
  }

  async deleteVersion(version: number): Promise<void> {
    this.onDelete(version)
    if (!this.versions.includes(version)) throw new EngineError("SNAPSHOT_NOT_FOUND", "it is gone")
    this.versions = this.versions.filter((each) => each !== version)
  }
}

function makeStore(): { store: Store; engines: [ListedEngine, ListedEngine] } {
  const engines: [ListedEngine, ListedEngine] = [new ListedEngine(), new ListedEngine()]
  const partitions = engines.map((engine, index) => new Partition(index, engine as unknown as Engine))
  const settings = { name: "default", partitioning: "explicit" } as StoreSettings
  const store = new Store(
    settings,
    partitions,
    { clock: new SystemClock(), random: new SystemRandom() },
    noRepository,
  )
  return { store, engines }
}

async function prune(store: Store, dryRun = false): Promise<[number, boolean][]> {
  const decisions = await pruneStore(store, RULES, { dryRun, nowMs: NOW })
  return decisions.map(({ version, isKept }) => [version.version, isKept])
}

test("all parts of what no rule keeps are removed, and a dry run removes nothing", async () => {
  const { store, engines } = makeStore()
  const expected = await prune(store, true)
  deepStrictEqual(engines[0].versions, [1, 2, 3, 4])
  deepStrictEqual(await prune(store), expected)
  deepStrictEqual(
    expected,
    [1, 2, 3, 4].map((version) => [version, version === 4]),
  )
  deepStrictEqual(
    engines.map(({ versions }) => versions),
    [[4], [4]],
  )
})

test("what was pinned, restored or removed meanwhile is left alone", async () => {
  const { store, engines } = makeStore()
  const [first, second] = engines
  first.onDelete = (version) => {
    // While version 1 is removed: version 2 is put back, and somebody else removes version 3 of the other partition.
    if (version === 1) second.position = { ...second.position, version: 2 }
    if (version === 3) second.versions = second.versions.filter((each) => each !== 3)
  }
  deepStrictEqual(await prune(store), [
    [1, false],
    [2, true],
    [3, false],
    [4, true],
  ])
  deepStrictEqual(
    [first.versions, second.versions],
    [
      [2, 4],
      [2, 4],
    ],
  )
  second.position = { ...second.position, version: 4 }
  first.onDelete = () => {
    throw new EngineError("SNAPSHOT_PINNED", "version 2 is pinned")
  }
  deepStrictEqual(await prune(store), [
    [2, true],
    [4, true],
  ])
})

test("nothing is removed while a partition is being restored", async () => {
  const { store, engines } = makeStore()
  const restoring = { name: "VarveError", reason: "RESTORE_IN_PROGRESS" }
  store.partitions[1]!.restoring = true
  await rejects(prune(store), restoring)
  store.partitions[1]!.restoring = false
  engines[1].onDelete = () => {
    store.partitions[1]!.restoring = true
  }
  await rejects(prune(store), restoring)
  deepStrictEqual(engines[0].versions, [2, 3, 4])
})
