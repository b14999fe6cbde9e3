// What concerns several partitions at once, on engines that fail when they are told to: real ones cannot.

import { deepStrictEqual, ok, rejects, strictEqual, throws } from "node:assert"
import { type Engine, EngineError, isEngineError, type RestoreOptions } from "@varve/engines"
import { SystemClock, SystemRandom, type VersionName, type VersionSummary } from "@varve/engines/internal"
import { test } from "vitest"
import type { StoreSettings } from "../config/settings.ts"
import { Partition } from "./partition.ts"
import { decodeReplacedHandle, encodeReplacedHandle } from "./replaced-handle.ts"
import { Store, type StoreRepository } from "./store.ts"
import {
  groupVersions,
  isComplete,
  needsNewTimeline,
  type PartitionVersions,
  restoreTargets,
} from "./store-versions.ts"

const settings: StoreSettings = {
  name: "default",
  engine: "memory",
  partitions: 3,
  durability: "snapshot",
  partitioning: "explicit",
  valueBytesMax: 1000,
  restoreMode: "lazy",
  recoveryFallback: "none",
  replacedStateSeconds: 3600,
  replacedStatesMax: 3,
  retention: { keepLast: 0, keepForMs: 0 },
  settings: {},
}

/** An engine that keeps the names of its states only. */
class NamedEngine {
  state = "first"
  lineage = "lineage of first"
  position = { version: 0, timeline: "a", metadata: new Uint8Array(0) }
  line = [{ timeline: "a", version: Number.MAX_SAFE_INTEGER }]
  readonly versions: VersionSummary[] = []
  readonly asked: RestoreOptions[] = []
  /** Numbers of versions whose records are damaged, and of those whose manifests are. */
  readonly damaged = new Set<number>()
  readonly unreadable = new Set<number>()
  failNext = false

  async snapshot({ version }: { version: number }): Promise<unknown> {
    if (this.failNext) throw new EngineError("REPOSITORY_FAILED", "told to fail")
    this.position = { ...this.position, version }
    this.versions.push(summary("a", version))
    return {
      version,
      timeline: "a",
      bytesNew: 1,
      bytesReused: 0,
      chunksNew: 1,
      chunksReused: 0,
      sealMs: 0,
      totalMs: 0,
    }
  }

  async restore(options: RestoreOptions): Promise<unknown> {
    this.asked.push(options)
    await new Promise((resolve) => setImmediate(resolve))
    if (this.failNext) throw new EngineError("DATA_LOSS", "told to fail")
    if ("version" in options && (this.damaged.has(options.version) || this.unreadable.has(options.version))) {
      throw new EngineError("DATA_LOSS", `version ${options.version} is damaged`)
    }
    const replaced = this.state
    this.state =
      "replaced" in options ? options.replaced : "version" in options ? `v${options.version}` : "empty"
    this.lineage = `lineage of ${this.state}`
    return { version: 1, timeline: "a", metadata: new Uint8Array(0), replaced, totalMs: 0 }
  }

  async listVersions(): Promise<VersionSummary[]> {
    return this.versions.filter(({ version }) => !this.unreadable.has(version))
  }

  damagedVersions(): VersionName[] {
    return this.versions.filter(({ version }) => this.unreadable.has(version))
  }
}

/** Knows the versions of the engines. The store had as many partitions always. */
class NamedRepository {
  readonly #engines: readonly NamedEngine[]

  constructor(engines: readonly NamedEngine[]) {
    this.#engines = engines
  }

  async listNames(_store: string, partition: number): Promise<readonly VersionName[]> {
    return this.#engines[partition]!.versions
  }

  async readManifest(_store: string, partition: number, { version }: VersionName): Promise<VersionSummary> {
    const engine = this.#engines[partition]!
    if (engine.unreadable.has(version)) throw new EngineError("DATA_LOSS", `version ${version} is damaged`)
    return engine.versions.find((each) => each.version === version)!
  }
}

function summary(timeline: string, version: number, createdMs = version, partitionCount = 3): VersionSummary {
  return {
    version,
    timeline,
    epoch: 1,
    parent: null,
    line: [{ timeline, version }],
    createdMs,
    engine: "memory",
    partitionCount,
    recordCount: 1,
    bytes: 1,
    bytesNew: 1,
    metadata: new Uint8Array(0),
    pinned: false,
    pinNames: [],
  }
}

function makeStore(): { store: Store; engines: NamedEngine[] } {
  const engines = [new NamedEngine(), new NamedEngine(), new NamedEngine()]
  const partitions = engines.map((engine, index) => new Partition(index, engine as unknown as Engine))
  return {
    store: new Store(
      settings,
      partitions,
      { clock: new SystemClock(), random: new SystemRandom() },
      new NamedRepository(engines) as unknown as StoreRepository,
    ),
    engines,
  }
}

const none = new Uint8Array(0)
const reason = (name: string) => (error: unknown) =>
  error instanceof Error && "reason" in error && error.reason === name

test("restore: when one partition fails, those that had switched are switched back", async () => {
  const { store, engines } = makeStore()
  await store.snapshot([], 1, none)
  engines[1]!.failNext = true
  await rejects(store.restore([], { version: 1, timeline: undefined }), reason("DATA_LOSS"))
  deepStrictEqual(
    engines.map(({ state }) => state),
    ["first", "first", "first"],
  )
  engines[1]!.failNext = false
  const { replaced, lineages } = await store.restore([], { version: 1, timeline: undefined })
  deepStrictEqual([...replaced.values()], ["first", "first", "first"])
  strictEqual(lineages.get(2), "lineage of v1")
})

test("restore: the newest version of all partitions is found by its name, without a listing", async () => {
  const { store, engines } = makeStore()
  for (const version of [1, 2, 3]) await store.snapshot([], version, none)
  await engines[0]!.snapshot({ version: 4 })
  let listings = 0
  for (const engine of engines) {
    const { versions } = engine
    engine.listVersions = async () => {
      listings++
      return versions
    }
  }
  const { newTimeline, ...rest } = await newestAsked()
  deepStrictEqual(rest, { version: 3, timeline: "a" })
  // Version 4 of the first partition stays where it is.
  ok(newTimeline !== undefined)
  deepStrictEqual(
    engines.map(({ state }) => state),
    ["v3", "v3", "v3"],
  )
  strictEqual(listings, 0)
  // On a timeline without a version names do not tell.
  for (const engine of engines)
    engine.line = [...engine.line, { timeline: "b", version: Number.MAX_SAFE_INTEGER }]
  strictEqual((await newestAsked()).version, 3)
  strictEqual(listings, 3)

  async function newestAsked(): Promise<{ version: number; timeline: string; newTimeline?: string }> {
    await store.restore([], { newest: true })
    const [first, ...others] = engines.map(({ asked }) => asked.at(-1)!)
    for (const each of others) deepStrictEqual(each, first)
    return first as { version: number; timeline: string; newTimeline?: string }
  }
})

test("restore: what is damaged on one partition is refused on all; a fallback passes over it on all, and says so", async () => {
  const { store, engines } = makeStore()
  for (const version of [1, 2, 3, 4]) await store.snapshot([], version, none)
  const states = (): string[] => engines.map(({ state }) => state)
  engines[1]!.damaged.add(4)
  engines[2]!.unreadable.add(3)
  await rejects(store.restore([], { newest: true }), reason("DATA_LOSS"))
  deepStrictEqual(states(), ["first", "first", "first"])
  const { skipped } = await store.restore([], { newest: true, fallback: "previous" })
  deepStrictEqual(states(), ["v2", "v2", "v2"])
  deepStrictEqual(skipped, [
    { version: 4, timeline: "a", why: "version 4 is damaged" },
    { version: 3, timeline: "a", why: "version 3 is damaged" },
  ])
  const timelines = new Set(engines.map(({ asked }) => asked.at(-1)?.newTimeline))
  strictEqual(typeof [...timelines][0], "string")
  await rejects(store.restore([], { version: 3, timeline: undefined }), reason("DATA_LOSS"))
  engines[0]!.unreadable.add(1).add(2)
  await rejects(store.restore([], { newest: true, fallback: "previous" }), reason("DATA_LOSS"))
  deepStrictEqual(states(), ["v2", "v2", "v2"])
})

test("restore: an older version starts one new timeline for all partitions, also for those without a newer one", async () => {
  const { store, engines } = makeStore()
  await store.snapshot([], 1, none)
  await store.restore([], { newest: true })
  deepStrictEqual(
    engines.map(({ asked }) => asked.at(-1)?.newTimeline),
    [undefined, undefined, undefined],
  )
  await store.snapshot([2], 2, none)
  await store.restore([], { version: 1, timeline: undefined })
  const timelines = new Set(engines.map(({ asked }) => asked.at(-1)?.newTimeline))
  strictEqual(timelines.size, 1)
  strictEqual(typeof [...timelines][0], "string")
})

test("restore: replaced states come back on one new timeline for all partitions", async () => {
  const { store, engines } = makeStore()
  await store.snapshot([], 1, none)
  const { replaced } = await store.restore([], { version: 1, timeline: undefined })
  await store.restore([], { replaced })
  const timelines = new Set(engines.map(({ asked }) => asked.at(-1)?.newTimeline))
  strictEqual(timelines.size, 1)
  strictEqual(typeof [...timelines][0], "string")
})

test("restore: disjoint partitions may be restored at once, the same ones may not", async () => {
  const { store } = makeStore()
  await store.snapshot([], 1, none)
  const running = store.restore([0, 1], { newest: true })
  await rejects(store.restore([1, 2], { newest: true }), reason("RESTORE_IN_PROGRESS"))
  await rejects(store.snapshot([0], 2, none), reason("RESTORE_IN_PROGRESS"))
  await store.restore([2], { newest: true })
  await running
  await store.restore([0], { newest: true })
})

test("snapshot: a failed one is no version, and its number may be taken again", async () => {
  const { store, engines } = makeStore()
  engines[2]!.failNext = true
  await rejects(store.snapshot([2], 1, none), reason("REPOSITORY_FAILED"))
  engines[2]!.failNext = false
  strictEqual((await store.snapshot([0, 1], 1, none)).complete, false)
  strictEqual((await store.snapshot([2], 1, none)).complete, true)
})

test("snapshot: a lineage that is another's seals nothing", async () => {
  const { store, engines } = makeStore()
  const lineages = new Map([[1, "lineage of something else"]])
  await rejects(store.snapshot([], 1, none, lineages), reason("STATE_REPLACED"))
  ok(engines.every(({ versions }) => versions.length === 0))
  await store.snapshot([], 1, none, new Map([[1, "lineage of first"]]))
})

test("which version: newest complete on the line, else sealed last; incomplete ones are named", () => {
  const partition = (index: number, versions: VersionSummary[], on = "new"): PartitionVersions => ({
    partition: index,
    versions,
    line: [{ timeline: on, version: Number.MAX_SAFE_INTEGER }],
  })
  const a = [summary("a", 1, 10), summary("a", 2, 20), summary("b", 3, 15)]
  const name = ({ timeline, version }: { timeline: string; version: number }): string =>
    `${timeline}/${version}`
  const names = (versions: readonly { timeline: string; version: number }[]): string =>
    versions.map(name).join()
  strictEqual(names(restoreTargets([partition(0, a), partition(1, a)], undefined)), "a/2,a/2")
  strictEqual(names(restoreTargets([partition(0, a, "b"), partition(1, a, "b")], undefined)), "b/3,b/3")
  strictEqual(names(restoreTargets([partition(0, a), partition(1, a.slice(0, 1))], undefined)), "a/1,a/1")
  strictEqual(
    groupVersions([partition(0, a), partition(1, a.slice(0, 1))])
      .map(name)
      .join(),
    "a/1,b/3,a/2",
  )
  const wanted = { version: 2, timeline: undefined }
  throws(() => restoreTargets([partition(0, a), partition(1, a.slice(0, 1))], wanted), /only 0 have it/)
  const both = [summary("a", 1), summary("b", 1)]
  throws(
    () => restoreTargets([partition(0, both)], { version: 1, timeline: undefined }),
    reason("VERSION_AMBIGUOUS"),
  )
  strictEqual(names(restoreTargets([partition(0, both)], { version: 1, timeline: "b" })), "b/1")
})

test("which version: after one partition was restored alone, a number means the one on each partition's own line", () => {
  const common = [1, 2, 3].map((version) => summary("a", version, 10 * version, 2))
  const stayed: PartitionVersions = {
    partition: 0,
    versions: [...common, summary("a", 4, 50, 2)],
    line: [{ timeline: "a", version: Number.MAX_SAFE_INTEGER }],
  }
  const wentBack: PartitionVersions = {
    partition: 1,
    versions: [...common, summary("b", 4, 50, 2)],
    line: [
      { timeline: "a", version: 2 },
      { timeline: "b", version: Number.MAX_SAFE_INTEGER },
    ],
  }
  const partitions = [stayed, wentBack]
  const newest = restoreTargets(partitions, undefined)
  deepStrictEqual(
    newest.map(({ timeline, version }) => `${timeline}/${version}`),
    ["a/4", "b/4"],
  )
  ok(needsNewTimeline(partitions, newest))
  deepStrictEqual(
    groupVersions(partitions)
      .filter((version) => isComplete(version, partitions))
      .map(({ timeline, version }) => `${timeline}/${version}`),
    ["a/1", "a/2", "a/3", "a/4", "b/4"],
  )
})

test("replaced handle: round trip; anything else is refused", () => {
  const handles = new Map([
    [0, "abc"],
    [12, "d-e.f"],
  ])
  deepStrictEqual(decodeReplacedHandle(encodeReplacedHandle(handles)), handles)
  for (const text of [
    "",
    ",",
    "0=a,",
    "0=a,0=b",
    "x=a",
    "0",
    "0=",
    "0=../x",
    "0=a;1=b",
    "0=a".repeat(40_000),
  ]) {
    throws(() => decodeReplacedHandle(text), reason("REQUEST_INVALID"), text.slice(0, 20))
  }
})

test("store: what a dead shard has is not sealed or put back; its recovery waits for no other dead shard", async () => {
  const { store, engines } = makeStore()
  const { partitions } = store
  await store.snapshot([], 1, new Uint8Array(0))
  for (const lost of [1, 2]) {
    partitions[lost]!.isLost = true
    engines[lost]!.listVersions = () => Promise.reject(new EngineError("ENGINE_CLOSED", "the shard is dead"))
  }
  const isRefused = (error: unknown): boolean => isEngineError(error, "ENGINE_CLOSED")
  await rejects(store.snapshot([], 2, new Uint8Array(0)), isRefused)
  await rejects(store.restore([], { newest: true }), isRefused)
  deepStrictEqual(
    engines.map(({ position, asked }) => [position.version, asked.length]),
    [1, 1, 1].map((version) => [version, 0]),
  )
  strictEqual((await store.recover([1], { newest: true })).version, 1)
  deepStrictEqual(
    engines.map(({ state }) => state),
    ["first", "v1", "first"],
  )
})
