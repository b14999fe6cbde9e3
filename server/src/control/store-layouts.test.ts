// Versions of a store that had other numbers of partitions before: which are complete, which stand on the current line,
// which can be put back, and that those of partitions that are no more are listed, pinned, pruned and deleted too.
//
//   timeline   a (4 partitions)      b (2 partitions: the present)
//   versions   1 ─ 2 ─ 3i ─ 4 ──────► 5 ─ 6                       i: partition 3 does not have it

import { deepStrictEqual, ok, rejects, strictEqual, throws } from "node:assert"
import { type Engine, EngineError, type RestoreOptions, type VersionName } from "@varve/engines"
import {
  isSameVersion,
  type Manifest,
  SystemClock,
  SystemRandom,
  type VersionSummary,
} from "@varve/engines/internal"
import { test } from "vitest"
import type { StoreSettings } from "../config/settings.ts"
import { Partition } from "./partition.ts"
import { pruneStore } from "./prune-store.ts"
import { decideRetention } from "./retention.ts"
import { Store, type StoreRepository } from "./store.ts"
import {
  groupVersions,
  isComplete,
  isOnCurrentLine,
  type PartitionVersions,
  restoreTargets,
  withOtherLayouts,
} from "./store-versions.ts"

const BEFORE = 4
const NOW = 2
const CURRENT_LINE = [
  { timeline: "a", version: 4 },
  { timeline: "b", version: Number.MAX_SAFE_INTEGER },
]

const summary = (timeline: string, version: number, pinned = false): VersionSummary => ({
  ...{ version, timeline, epoch: timeline === "a" ? 1 : 2, parent: null, line: [], createdMs: version },
  ...{ engine: "memory", partitionCount: timeline === "a" ? BEFORE : NOW, recordCount: 0, bytes: 0 },
  ...{ bytesNew: 0, metadata: new Uint8Array(0), pinned, pinNames: [] },
})

const unreadable = (timeline: string, version: number): VersionSummary => ({
  ...summary(timeline, version),
  ...{ partitionCount: 0, epoch: 0, createdMs: 0 },
})

/** What partition `index` of the drawing has. */
function drawn(index: number): VersionSummary[] {
  const before = [1, 2, 3, 4].filter((version) => index < 3 || version !== 3)
  const after = index < NOW ? [5, 6] : []
  return [...before.map((version) => summary("a", version)), ...after.map((version) => summary("b", version))]
}

function listings(): PartitionVersions[] {
  return Array.from({ length: BEFORE }, (_, partition) => ({
    partition,
    versions: drawn(partition),
    ...(partition < NOW ? { line: CURRENT_LINE } : { line: [], isFormer: true }),
  }))
}

const names = (versions: readonly VersionName[]): string =>
  versions.map(({ timeline, version }) => `${timeline}/${version}`).join(" ")

const number = (version: number) => ({ version, timeline: undefined })

test("complete is what all partitions have that the store had, and it stands on the line on which all now stand", () => {
  const all = listings()
  const versions = groupVersions(all)
  strictEqual(names(versions.filter((each) => isComplete(each, all))), "a/1 a/2 a/4 b/5 b/6")
  strictEqual(names(versions.filter((each) => isOnCurrentLine(each, all))), "a/1 a/2 a/3 a/4 b/5 b/6")
  const [first, ...others] = all as [PartitionVersions, ...PartitionVersions[]]
  const elsewhere = [{ ...first, line: [{ timeline: "c", version: 9 }] }, ...others]
  strictEqual(names(groupVersions(elsewhere).filter((each) => isOnCurrentLine(each, elsewhere))), "")
})

test("what can be put back: the newest, any complete one of either layout, no incomplete one", () => {
  const all = listings()
  const asked = all.slice(0, NOW)
  const restorable = withOtherLayouts(asked, all)
  strictEqual(names(restoreTargets(restorable, undefined)), "b/6 b/6")
  strictEqual(names(restoreTargets(restorable, number(2))), "a/2 a/2")
  throws(() => restoreTargets(restorable, number(3)), /version 3/)
  // A new directory: nobody stands on any line.
  const fresh = restorable.map((each) => ({ ...each, line: [{ timeline: "new", version: 9 }] }))
  strictEqual(names(restoreTargets(fresh, undefined)), "b/6 b/6")
  const old = listings().map((each) => ({
    ...each,
    versions: each.versions.filter(({ timeline }) => timeline === "a"),
  }))
  strictEqual(names(restoreTargets(withOtherLayouts(old.slice(0, NOW), old), undefined)), "a/4 a/4")
})

test("more partitions than before: those that are new are given what the others have", () => {
  const all = listings()
    .slice(0, NOW)
    .map((each) => ({ ...each, versions: [summary("b", 5)] }))
  const grown = [...all, { partition: 2, versions: [], line: CURRENT_LINE }]
  strictEqual(names(restoreTargets(withOtherLayouts(grown, grown), undefined)), "b/5 b/5 b/5")
})

test.each([0, 1, 3])(
  "a damaged part, of partition %s, does not let an older version pass for the newest",
  (index) => {
    const all = listings().map((each) => ({
      ...each,
      versions: each.versions
        .filter(({ timeline }) => timeline === "a")
        .map((one) => (one.version === 4 && each.partition === index ? unreadable("a", 4) : one)),
    }))
    strictEqual(names(restoreTargets(withOtherLayouts(all.slice(0, NOW), all), undefined)), "a/4 a/4")
  },
)

test("retention counts the versions of both layouts", () => {
  const all = listings()
  const input = {
    ...{ versions: groupVersions(all), partitions: all, standing: [{ timeline: "b", version: 6 }] },
    ...{ pending: new Set<number>(), damaged: [], nowMs: 1_000_000_000 },
  }
  const kept = decideRetention({ keepLast: 3, keepForMs: 0 }, input).filter(({ isKept }) => isKept)
  strictEqual(names(kept.map(({ version }) => version)), "a/4 b/5 b/6")
})

/** Engines and a repository that have the drawing's versions, and keep account of what is asked. */
class DrawnStore {
  readonly parts = new Map(Array.from({ length: BEFORE }, (_, index) => [index, drawn(index)]))
  readonly asked: RestoreOptions[] = []
  /** Of this partition nothing can be deleted. */
  stuck = -1

  open(): Store {
    const partitions = Array.from({ length: NOW }, (_, index) => new Partition(index, this.#engine(index)))
    const settings = { name: "default", partitioning: "hash" } as StoreSettings
    const seams = { clock: new SystemClock(), random: new SystemRandom() }
    const listVersions: StoreRepository["listVersions"] = async (_, partition) => this.parts.get(partition)!
    return new Store(settings, partitions, seams, {
      listVersions,
      listNames: listVersions,
      readManifest: async (_, partition, name) => {
        const found = this.parts.get(partition)!.find((each) => isSameVersion(each, name))!
        return found as unknown as Manifest
      },
      damagedVersions: () => [],
      deleteVersion: async (_, partition, name) => this.#delete(partition, name),
      pin: async (_, partition, name) => this.#pin(partition, name, true),
      unpin: async (_, partition, name) => this.#pin(partition, name, false),
    })
  }

  #engine(index: number): Engine {
    return {
      line: CURRENT_LINE,
      position: { version: 6, timeline: "b", metadata: new Uint8Array(0) },
      lineage: "",
      listVersions: async () => this.parts.get(index)!,
      damagedVersions: () => [],
      deleteVersion: async (version: number, timeline: string) => this.#delete(index, { version, timeline }),
      pinVersion: async (version: number, pinned: boolean, timeline: string) =>
        this.#pin(index, { version, timeline }, pinned),
      restore: async (options: RestoreOptions) => {
        this.asked.push(options)
        const converted = { engine: "memory", partitionCount: BEFORE }
        return { version: 4, timeline: "a", metadata: new Uint8Array(0), replaced: "", converted }
      },
    } as unknown as Engine
  }

  #delete(partition: number, { timeline, version }: VersionName): void {
    if (partition === this.stuck) throw new EngineError("REPOSITORY_FAILED", "no answer")
    const before = this.parts.get(partition)!
    const after = before.filter((each) => each.timeline !== timeline || each.version !== version)
    if (after.length === before.length) throw new EngineError("SNAPSHOT_NOT_FOUND", "it is gone")
    this.parts.set(partition, after)
  }

  #pin(partition: number, { timeline, version }: VersionName, pinned: boolean): void {
    const versions = this.parts.get(partition)!
    const at = versions.findIndex((each) => each.timeline === timeline && each.version === version)
    versions[at] = summary(timeline, version, pinned)
  }
}

test("a store lists, pins and deletes parts of partitions that it does not have any more", async () => {
  const drawing = new DrawnStore()
  const store = drawing.open()
  const { versions } = await store.listVersions()
  strictEqual(names(versions), "a/1 a/2 a/3 a/4 b/5 b/6")
  strictEqual(versions[0]!.parts.length, BEFORE)

  await store.pinVersion(1, undefined, true)
  ok([0, 1, 2, 3].every((index) => drawing.parts.get(index)![0]!.pinned))
  await rejects(store.deleteVersion(1, undefined), /pinned/)
  await store.pinVersion(1, undefined, false)
  await store.deleteVersion(1, undefined)
  ok([0, 1, 2, 3].every((index) => drawing.parts.get(index)![0]!.version === 2))

  await pruneStore(store, { keepLast: 2, keepForMs: 0 }, { dryRun: false, nowMs: 1_000_000_000 })
  deepStrictEqual(
    [...drawing.parts.values()].map((each) => names(each)),
    ["b/5 b/6", "b/5 b/6", "", ""],
  )
})

test.each([0, 1, 2, 3])(
  "what a deletion that fails at partition %i leaves of the last version of a layout is found again",
  async (index) => {
    const drawing = new DrawnStore()
    for (const [partition, versions] of drawing.parts) {
      drawing.parts.set(
        partition,
        versions.filter(({ timeline, version }) => timeline === "b" || version === 1),
      )
    }
    const store = drawing.open()
    const prune = () =>
      pruneStore(store, { keepLast: 1, keepForMs: 0 }, { dryRun: false, nowMs: 1_000_000_000 })
    drawing.stuck = index
    await rejects(store.deleteVersion(1, undefined), /no answer/)
    await rejects(prune(), /no answer/)
    drawing.stuck = -1
    await prune()
    deepStrictEqual(
      [...drawing.parts.values()].map((each) => names(each)),
      ["b/6", "b/6", "", ""],
    )
  },
)

test("a restore across layouts starts a timeline of its own, one for all, and says what it was made of", async () => {
  const drawing = new DrawnStore()
  const { converted } = await drawing.open().restore([], { version: 4, timeline: undefined })
  deepStrictEqual(converted, { engine: "memory", partitionCount: BEFORE })
  const timelines = new Set(drawing.asked.map(({ newTimeline }) => newTimeline))
  strictEqual(timelines.size, 1)
  ok(!timelines.has(undefined))
})
