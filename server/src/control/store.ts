// A store as main has it: its partitions, wherever their engines are, and what concerns several of them at once.
//
// Snapshot: every check first, then all engines of a shard seal in one turn of its event loop: an atomic cut.
// Restore: all partitions asked, or none. Each engine builds the new state beside the old one and switches; when
// one fails, those that have switched already are switched back by the handle of what they replaced.

import {
  type ConvertedFrom,
  EngineError,
  isEngineError,
  type RestoreMode,
  type RestoreOptions,
  type RestoreResult,
  type SkippedVersion,
  type SnapshotResult,
  type SnapshotStages,
  type VersionName,
} from "@varve/engines"
import { type Clock, isOnLine, METADATA_BYTES_MAX, newTimelineId, type Random } from "@varve/engines/internal"
import { VarveError } from "@varve/proto"
import type { StoreSettings } from "../config/settings.ts"
import { checkLineage } from "../shard/lineage.ts"
import { FormerPartitions, type FormerPartitionsRepository } from "./former-partitions.ts"
import { type NamesRepository, newestByName } from "./newest-by-name.ts"
import type { Partition } from "./partition.ts"
import { allOrFirstError, restoreAll } from "./restore-all.ts"
import {
  findVersion,
  groupVersions,
  layoutOf,
  needsNewTimeline,
  type PartitionVersions,
  removalOrder,
  restoreTargets,
  type StoreVersion,
  withDamaged,
  withOtherLayouts,
  without,
} from "./store-versions.ts"

const VERSION_MAX = Number.MAX_SAFE_INTEGER

export interface StoreSnapshot extends Omit<SnapshotResult, "sealMs" | "totalMs" | "stages"> {
  readonly partitions: readonly number[]
  readonly sealSeconds: number
  readonly totalSeconds: number
  /** Of each partition, in their order. */
  readonly stages: readonly (SnapshotStages & { readonly sealMs: number })[]
  /** Whether every partition of the store has the version now. */
  readonly complete: boolean
}

export interface StoreRestore {
  /** 0 when a replaced state was put back. */
  readonly version: number
  readonly timeline: string
  /** Of the first of the partitions. */
  readonly metadata: Uint8Array
  /** By partition. */
  readonly replaced: ReadonlyMap<number, string>
  /** By partition, as of the state that was put back. */
  readonly lineages: ReadonlyMap<number, string>
  readonly partitions: readonly number[]
  readonly totalSeconds: number
  /** With `fallback`: the damaged versions that were passed over, newest first. */
  readonly skipped: readonly SkippedVersion[]
  /** Set when another engine wrote the version, or another number of partitions. */
  readonly converted: ConvertedFrom | undefined
}

/** What a caller wants put back. */
export type StoreRestoreTarget =
  | { readonly version: number; readonly timeline: string | undefined }
  /** With `fallback`: when it is damaged on any of the partitions, the newest older one that is not, on all of them. */
  | { readonly newest: true; readonly fallback?: "previous" }
  | { readonly replaced: ReadonlyMap<number, string> }
  | { readonly empty: true }

/** What a store asks the repository itself, and not through its engines. */
export type StoreRepository = FormerPartitionsRepository & NamesRepository

export class Store {
  readonly settings: StoreSettings
  readonly partitions: readonly Partition[]
  readonly #clock: Clock
  readonly #random: Random
  readonly #repository: StoreRepository
  readonly #former: FormerPartitions

  /** @param partitions all of the store, by number; owned by the store from here on */
  constructor(
    settings: StoreSettings,
    partitions: readonly Partition[],
    seams: { clock: Clock; random: Random },
    repository: StoreRepository,
  ) {
    this.settings = settings
    this.partitions = partitions
    this.#clock = seams.clock
    this.#random = seams.random
    this.#repository = repository
    this.#former = new FormerPartitions(settings.name, partitions.length, repository)
  }

  /** @throws VarveError `PARTITION_OUT_OF_RANGE` */
  partition(index: number): Partition {
    const partition = this.partitions[index]
    if (partition !== undefined) return partition
    throw new VarveError(
      "PARTITION_OUT_OF_RANGE",
      `store ${this.settings.name} has no partition ${index}; it has 0 to ${this.partitions.length - 1}`,
    )
  }

  /**
   * Partitions by number; all when `indexes` is empty.
   * @throws VarveError `PARTITION_OUT_OF_RANGE`, `REQUEST_INVALID` when one is named twice
   */
  select(indexes: readonly number[]): readonly Partition[] {
    if (indexes.length === 0) return this.partitions
    if (new Set(indexes).size !== indexes.length) {
      throw new VarveError("REQUEST_INVALID", "a partition is named twice")
    }
    return [...indexes].sort((a, b) => a - b).map((index) => this.partition(index))
  }

  /**
   * Makes the present state of the partitions a version.
   * @param lineages by partition: what the caller takes the state to be; those not named are not checked
   * @throws (rejects) as `Engine.snapshot`, and VarveError `STATE_REPLACED`; when the reason is about the call,
   * nothing was sealed
   */
  async snapshot(
    indexes: readonly number[],
    version: number,
    metadata: Uint8Array,
    lineages: ReadonlyMap<number, string> = new Map(),
  ): Promise<StoreSnapshot> {
    const partitions = this.select(indexes)
    for (const [index, lineage] of lineages) checkLineage(this.partition(index), lineage)
    checkSnapshot(partitions, version, metadata)
    const startedMs = this.#clock.monotonicMs()
    for (const partition of partitions) partition.pendingVersions.add(version)
    try {
      // One turn: nothing is awaited between the calls.
      const calls = partitions.map(async ({ engine }) => engine.snapshot({ version, metadata }))
      const results = allOrFirstError(await Promise.allSettled(calls))
      return {
        version,
        timeline: results[0]!.timeline,
        bytesNew: total(results, ({ bytesNew }) => bytesNew),
        bytesReused: total(results, ({ bytesReused }) => bytesReused),
        chunksNew: total(results, ({ chunksNew }) => chunksNew),
        chunksReused: total(results, ({ chunksReused }) => chunksReused),
        sealSeconds: total(results, ({ sealMs }) => sealMs) / 1000,
        totalSeconds: (this.#clock.monotonicMs() - startedMs) / 1000,
        stages: results.map(({ sealMs, stages }) => ({ sealMs, ...stages })),
        partitions: partitions.map(({ index }) => index),
        complete: await this.#isCompleteWith(partitions, version),
      }
    } finally {
      for (const partition of partitions) partition.pendingVersions.delete(version)
    }
  }

  /** @throws (rejects) as `Engine.restore`; the state is then what it was */
  async restore(
    indexes: readonly number[],
    target: StoreRestoreTarget,
    mode?: RestoreMode,
  ): Promise<StoreRestore> {
    const partitions =
      "replaced" in target && indexes.length === 0
        ? this.select([...target.replaced.keys()])
        : this.select(indexes)
    checkPresent(partitions)
    return await this.#restore(partitions, target, mode)
  }

  /** As `restore`, of partitions whose shard has died. */
  async recover(indexes: readonly number[], target: StoreRestoreTarget): Promise<StoreRestore> {
    return await this.#restore(this.select(indexes), target, undefined)
  }

  async #restore(
    partitions: readonly Partition[],
    target: StoreRestoreTarget,
    mode: RestoreMode | undefined,
  ): Promise<StoreRestore> {
    const busy = partitions.find(({ restoring }) => restoring)
    if (busy !== undefined) throw restoreInProgress(busy)
    const startedMs = this.#clock.monotonicMs()
    for (const partition of partitions) partition.restoring = true
    try {
      const { results, skipped } = await this.#restoreGood(partitions, target, mode)
      return {
        version: results[0]!.version,
        timeline: results[0]!.timeline,
        metadata: results[0]!.metadata,
        replaced: new Map(partitions.map(({ index }, at) => [index, results[at]!.replaced])),
        lineages: new Map(partitions.map(({ index, engine }) => [index, engine.lineage])),
        partitions: partitions.map(({ index }) => index),
        totalSeconds: (this.#clock.monotonicMs() - startedMs) / 1000,
        skipped,
        converted: results.find(({ converted }) => converted !== undefined)?.converted,
      }
    } finally {
      for (const partition of partitions) partition.restoring = false
    }
  }

  /** Restores the target; with `fallback`, damaged versions are passed over until one is good on all partitions. */
  async #restoreGood(
    partitions: readonly Partition[],
    target: StoreRestoreTarget,
    mode: RestoreMode | undefined,
  ): Promise<{ results: RestoreResult[]; skipped: SkippedVersion[] }> {
    const skipped: SkippedVersion[] = []
    const passed: VersionName[] = []
    let firstDamage: unknown
    for (;;) {
      let targets: RestoreOptions[]
      try {
        targets = await this.#engineTargets(partitions, target, passed)
      } catch (error) {
        // There is none left: what is wrong with the newest one says more.
        throw firstDamage ?? error
      }
      try {
        return { results: await restoreAll(partitions, targets, mode), skipped }
      } catch (error) {
        const isDamage = isEngineError(error, "DATA_LOSS")
        if (!isDamage || !("newest" in target) || target.fallback === undefined) throw error
        firstDamage ??= error
        const names = targets.flatMap((each) =>
          "version" in each ? [{ version: each.version, timeline: each.timeline ?? "" }] : [],
        )
        passed.push(...names)
        skipped.push({ ...names[0]!, why: error.message })
      }
    }
  }

  /** Versions of all partitions, as they stand now, those that the store has no more included. */
  async versions(): Promise<PartitionVersions[]> {
    const served = await this.#versionsOf(this.partitions)
    return [...served, ...(await this.#former.versions(served))]
  }

  /** Names of versions of the partition that the last listing left out because their manifests cannot be believed. */
  damagedVersions(partition: number): readonly VersionName[] {
    const owner = this.partitions[partition]
    return owner === undefined || owner.isLost
      ? this.#former.damagedVersions(partition)
      : owner.engine.damagedVersions()
  }

  /** What can be put back on each of these partitions; versions that cannot be believed are among them. */
  async restorable(partitions: readonly Partition[]): Promise<PartitionVersions[]> {
    const all = withDamaged(await this.versions(), (partition) => this.damagedVersions(partition))
    const asked = all.filter(({ partition }) => partitions.some(({ index }) => index === partition))
    return withOtherLayouts(asked, all)
  }

  async #versionsOf(partitions: readonly Partition[]): Promise<PartitionVersions[]> {
    return await Promise.all(
      partitions.map(async ({ index, engine, isLost }) => ({
        partition: index,
        // The engine may not be there; and who brings it back must not wait for other shards that are not.
        versions: await (isLost
          ? this.#repository.listVersions(this.settings.name, index)
          : engine.listVersions()),
        line: engine.line,
      })),
    )
  }

  /** Versions of the store, oldest first, each with the partitions that have it. */
  async listVersions(): Promise<{ versions: StoreVersion[]; partitions: PartitionVersions[] }> {
    const partitions = await this.versions()
    return { versions: groupVersions(partitions), partitions }
  }

  /** @throws (rejects) `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`, `SNAPSHOT_PINNED` */
  async deleteVersion(version: number, timeline: string | undefined): Promise<void> {
    const found = findVersion(await this.versions(), { version, timeline })
    if (found.parts.some(({ summary }) => summary.pinned)) {
      throw new EngineError("SNAPSHOT_PINNED", `version ${version} on timeline ${found.timeline} is pinned`)
    }
    for (const { partition } of removalOrder(found)) await this.deletePart(partition, found)
  }

  /** Removes a version from one partition. @throws (rejects) `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_PINNED` */
  async deletePart(partition: number, { version, timeline }: VersionName): Promise<void> {
    const owner = this.partitions[partition]
    if (owner === undefined) await this.#former.deleteVersion(partition, { version, timeline })
    else await owner.engine.deleteVersion(version, timeline)
  }

  /** @throws (rejects) `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS` */
  async pinVersion(
    version: number,
    timeline: string | undefined,
    pinned: boolean,
    name?: string,
  ): Promise<void> {
    const found = findVersion(await this.versions(), { version, timeline })
    for (const { partition } of found.parts) {
      const owner = this.partitions[partition]
      if (owner === undefined) await this.#former.pinVersion(partition, found, pinned, name)
      else await owner.engine.pinVersion(version, pinned, found.timeline, name)
    }
  }

  /** Whether the partitions that took no part in a snapshot have its version on their lines. */
  async #isCompleteWith(done: readonly Partition[], version: number): Promise<boolean> {
    const others = this.partitions.filter((partition) => !done.includes(partition))
    return (await this.#versionsOf(others)).every(({ versions, line }) =>
      versions.some((each) => each.version === version && isOnLine(each, line)),
    )
  }

  /** What to ask of each engine. A new timeline is started by all partitions or by none, under one name. */
  async #engineTargets(
    partitions: readonly Partition[],
    target: StoreRestoreTarget,
    passed: readonly VersionName[],
  ): Promise<RestoreOptions[]> {
    if ("empty" in target) {
      const newTimeline = newTimelineId(this.#clock, this.#random)
      return partitions.map(() => ({ empty: true, newTimeline }))
    }
    if ("replaced" in target) {
      const newTimeline = newTimelineId(this.#clock, this.#random)
      return partitions.map(({ index }) => {
        const replaced = target.replaced.get(index)
        if (replaced !== undefined) return { replaced, newTimeline }
        throw new EngineError("REPLACED_STATE_NOT_FOUND", `the handle names no state of partition ${index}`)
      })
    }
    if ("newest" in target) {
      const store = { store: this.settings.name, partitionCount: this.partitions.length }
      const newest = await newestByName(partitions, passed, store, this.#repository)
      if (newest !== undefined) {
        const { version, timeline, isFork } = newest
        const fork = isFork ? { newTimeline: newTimelineId(this.#clock, this.#random) } : {}
        return partitions.map(() => ({ version, timeline, ...fork }))
      }
    }
    const listings = await this.restorable(partitions)
    const versions = restoreTargets(without(listings, passed), "version" in target ? target : undefined)
    const isFork =
      needsNewTimeline(listings, versions) ||
      layoutOf(listings, versions, this.partitions.length) !== this.partitions.length
    const fork = isFork ? { newTimeline: newTimelineId(this.#clock, this.#random) } : {}
    return versions.map(({ version, timeline }) => ({ version, timeline, ...fork }))
  }
}

function checkSnapshot(partitions: readonly Partition[], version: number, metadata: Uint8Array): void {
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new EngineError("VERSION_INVALID", `version ${version} is not a number from 1 to ${VERSION_MAX}`)
  }
  if (metadata.length > METADATA_BYTES_MAX) {
    throw new EngineError(
      "METADATA_TOO_LARGE",
      `the metadata has ${metadata.length} bytes; at most ${METADATA_BYTES_MAX} are allowed`,
    )
  }
  checkPresent(partitions)
  for (const partition of partitions) {
    if (partition.restoring) throw restoreInProgress(partition)
    if (version <= partition.versionFloor) {
      throw new EngineError(
        "VERSION_NOT_ASCENDING",
        `version ${version} is not above ${partition.versionFloor}, the last one of partition ${partition.index}`,
      )
    }
  }
}

/** @throws EngineError `ENGINE_CLOSED` when one's shard has died and is not back */
function checkPresent(partitions: readonly Partition[]): void {
  const lost = partitions.find(({ isLost }) => isLost)
  if (lost === undefined) return
  throw new EngineError(
    "ENGINE_CLOSED",
    `the shard of partition ${lost.index} is being started again: nothing was done`,
  )
}

function restoreInProgress({ index }: Partition): EngineError {
  return new EngineError("RESTORE_IN_PROGRESS", `partition ${index} is being restored`)
}

function total<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0)
}
