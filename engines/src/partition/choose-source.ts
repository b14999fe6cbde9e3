// Which state a restore puts back, from what its caller asks for.

import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import type { RestoreOptions, SkippedVersion } from "../engine.ts"
import type { Manifest, VersionName, VersionSummary } from "../snapshots/manifest.ts"
import {
  isSameVersion,
  newestOnLine,
  newestOnTimeline,
  newTimelineId,
  resolveVersion,
  startsNewTimeline,
} from "../snapshots/timeline.ts"
import { type ConvertingPartition, convertedSource, repartitionedSource } from "./converted-source.ts"
import type { PartitionIdentity, PartitionParts } from "./live-state.ts"
import { randomSeed } from "./open-partition.ts"
import type { RestoreMode } from "./open-runs.ts"
import type { ReplacedStates } from "./replaced-states.ts"
import { emptySource, type RestoreSource, versionSource } from "./restore-source.ts"
import { withSealingTime } from "./sealing-time.ts"

/** Of partitions. */
const LISTINGS_AT_ONCE = 8

export interface ListedVersion extends Pick<VersionSummary, "timeline" | "version" | "epoch" | "createdMs"> {
  /** Undefined when nobody can read it; 0 when it is of another number of partitions besides. */
  readonly partitionCount: number | undefined
}

/** The partition as it is when the restore begins. */
export interface RestoredPartition extends ConvertingPartition {
  /** The line that it stands on, and the states that it has replaced. */
  readonly line: readonly VersionName[]
  readonly replaced: ReplacedStates
  /** How runs come that are not here. */
  readonly mode: RestoreMode
}

/**
 * The state that `options` mean, its runs held for the caller.
 * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`, `REPLACED_STATE_NOT_FOUND`, `ENGINE_MISMATCH`,
 * `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`
 */
export async function chooseSource(
  options: RestoreOptions,
  partition: RestoredPartition,
): Promise<RestoreSource> {
  const { identity, parts, line, replaced } = partition
  const { clock, random } = parts.seams
  const newTimeline = options.newTimeline ?? newTimelineId(clock, random)
  if ("empty" in options) return emptySource(newTimeline, randomSeed(random.bytes(4)))
  if ("replaced" in options) {
    const { state, runs } = replaced.get(options.replaced)
    // Its own timeline may have gone on without it.
    const described = await withSealingTime(state, identity, parts)
    return { description: { ...described, timeline: newTimeline }, runs }
  }
  const timelinesOf = (name: VersionName, versions: readonly VersionName[]): NextTimelines => {
    // Who restores several partitions together decides for all of them.
    const isForked = options.newTimeline !== undefined || startsNewTimeline([versions], name)
    return { onward: isForked ? newTimeline : name.timeline, newTimeline }
  }
  const named = await versionByName(options, partition)
  if (named !== undefined) {
    try {
      return await openManifest(named.manifest, partition, timelinesOf(named.manifest, named.names))
    } catch (error) {
      if (!("fallback" in options) || !isEngineError(error, "DATA_LOSS")) throw error
    }
  }
  const versions = await restorableVersions(options, identity, parts)
  const open = (name: ListedVersion): Promise<RestoreSource> =>
    openVersion(name, partition, timelinesOf(name, versions))
  if ("version" in options) return open(resolveVersion(versions, options, line))
  return newestSource(versions, partition, open, options.fallback === "previous")
}

/**
 * The version that its name alone shows to be the one that is meant: it is named in full, or it is the newest on the
 * timeline that the partition stands on. One manifest is read, and not those of all versions. Undefined: they have to be.
 */
async function versionByName(
  options: RestoreOptions,
  { identity, parts, line }: RestoredPartition,
): Promise<{ manifest: Manifest; names: readonly VersionName[] } | undefined> {
  const { store, partition, partitionCount } = identity
  const isNamed = "version" in options && options.timeline !== undefined
  if (!isNamed && !("newest" in options)) return undefined
  const names = await parts.repository.listNames(store, partition)
  const name = isNamed
    ? names.find(({ version, timeline }) => version === options.version && timeline === options.timeline)
    : newestOnLine(names, line.slice(-1))
  if (name === undefined) return undefined
  try {
    const manifest = await parts.repository.readManifest(store, partition, name)
    return manifest.partitionCount === partitionCount ? { manifest, names } : undefined
  } catch (error) {
    // Who looks at all versions says what is wrong with this one.
    if (isEngineError(error, "DATA_LOSS") || isEngineError(error, "FORMAT_NEWER")) return undefined
    if (isEngineError(error, "SNAPSHOT_NOT_FOUND")) return undefined
    throw error
  }
}

/**
 * Names of versions, oldest first; before all others those whose manifests are damaged. Who asks for one of them hears
 * of the damage, and no other version is taken for it unless that is asked for.
 */
export async function versionNames(
  { store, partition }: PartitionIdentity,
  { repository }: PartitionParts,
): Promise<ListedVersion[]> {
  const versions = await repository.listVersions(store, partition)
  const damaged = repository.damagedVersions(store, partition)
  return [...damaged.map((name) => ({ ...name, createdMs: 0, partitionCount: undefined })), ...versions]
}

/**
 * As `versionNames`, with the store's versions of other numbers of partitions. Whatever the number, a complete version
 * has a partition 0: its listing names them all.
 */
async function restorableVersions(
  options: RestoreOptions,
  identity: PartitionIdentity,
  parts: PartitionParts,
): Promise<readonly ListedVersion[]> {
  const { partition, partitionCount } = identity
  const own = await versionNames(identity, parts)
  if (partition === 0 || own.some((each) => isNamedBy(options, each, partitionCount))) return own
  const first = await versionNames({ ...identity, partition: 0 }, parts)
  // On a timeline all versions have the same partitions: so those have that nobody can read.
  const countOf = new Map<string, number>()
  for (const each of [...own, ...first]) {
    if (each.partitionCount !== undefined) countOf.set(each.timeline, each.partitionCount)
  }
  const isOther = ({ timeline }: ListedVersion): boolean => {
    const count = countOf.get(timeline)
    return count === undefined ? own.every((each) => each.timeline !== timeline) : count !== partitionCount
  }
  const others = first
    .filter(isOther)
    .map((each) => ({ ...each, partitionCount: each.partitionCount ?? countOf.get(each.timeline) ?? 0 }))
  const ours = own.filter((each) => !isOther(each) && !others.some((other) => isSameVersion(other, each)))
  // Epochs of two partitions say nothing of one another.
  return others.length === 0 ? ours : [...others, ...ours].sort((a, b) => a.createdMs - b.createdMs)
}

/** Whether the caller has given the whole name of this version, which is of this number of partitions. */
function isNamedBy(options: RestoreOptions, each: ListedVersion, partitionCount: number): boolean {
  if (!("version" in options) || each.partitionCount !== partitionCount) return false
  return each.version === options.version && each.timeline === options.timeline
}

/** Where the next version goes: of a version as it is, and of one whose partitions were others. */
interface NextTimelines {
  readonly onward: string
  readonly newTimeline: string
}

async function openVersion(
  name: ListedVersion,
  restored: RestoredPartition,
  timelines: NextTimelines,
): Promise<RestoreSource> {
  const { store, partition, partitionCount } = restored.identity
  const isOther = name.partitionCount !== undefined && name.partitionCount !== partitionCount
  const manifest = await restored.parts.repository.readManifest(store, isOther ? 0 : partition, name)
  // On a timeline all versions have the same partitions.
  if (isOther || manifest.partitionCount !== partitionCount)
    return repartitionedSource(manifest, timelines.newTimeline, restored)
  return openManifest(manifest, restored, timelines)
}

/** @param manifest of this partition, with the partitions that there are now */
function openManifest(
  manifest: Manifest,
  restored: RestoredPartition,
  { onward }: NextTimelines,
): Promise<RestoreSource> {
  const { identity, parts, mode } = restored
  return manifest.engine === identity.engine
    ? versionSource(parts, manifest, onward, mode)
    : convertedSource(manifest, onward, restored)
}

/**
 * The newest of the versions that is complete; those before it that turn out to be damaged are passed over if
 * `fallsBack`.
 */
async function newestSource(
  versions: readonly ListedVersion[],
  { identity, parts, line }: RestoredPartition,
  open: (name: ListedVersion) => Promise<RestoreSource>,
  fallsBack: boolean,
): Promise<RestoreSource> {
  const skipped: SkippedVersion[] = []
  for (let candidates = versions; ; ) {
    const name = newestOnLine(candidates, line) ?? newestOnTimeline(candidates, candidates.at(-1)?.timeline)
    if (name === undefined) throw noVersion(identity, skipped)
    const older = candidates.filter((each) => !isSameVersion(each, name))
    if (!(await isComplete(name, identity, parts))) {
      candidates = older
      continue
    }
    try {
      return { ...(await open(name)), skipped }
    } catch (error) {
      if (!fallsBack || !isEngineError(error, "DATA_LOSS")) throw error
      const { version, timeline } = name
      skipped.push({ version, timeline, why: error.message })
      parts.warn(
        `version ${version} of timeline ${timeline} is damaged: an older one is restored instead`,
        error,
      )
      candidates = older
    }
  }
}

/**
 * Whether all partitions have the version, when they were others than now: each of the present ones is made of some of
 * them, and all have to take the same. Who has partitions that are as they were restores them together.
 */
async function isComplete(
  name: ListedVersion,
  identity: PartitionIdentity,
  parts: PartitionParts,
): Promise<boolean> {
  const { partitionCount = 0 } = name
  if (partitionCount === 0 || partitionCount === identity.partitionCount) return true
  const sources = Array.from({ length: partitionCount }, (_, partition) => partition)
  const have = await eachAtOnce(sources, LISTINGS_AT_ONCE, async (partition) =>
    (await versionNames({ ...identity, partition }, parts)).some((each) => isSameVersion(each, name)),
  )
  return have.every((has) => has)
}

function noVersion(
  { store, partition }: PartitionIdentity,
  [newest, ...others]: SkippedVersion[],
): EngineError {
  if (newest === undefined) {
    return new EngineError("SNAPSHOT_NOT_FOUND", `partition ${partition} of ${store} has no version yet`)
  }
  return new EngineError(
    "DATA_LOSS",
    `no version of partition ${partition} of ${store} is whole: ${others.length + 1} are damaged, the newest: ${newest.why}`,
  )
}
