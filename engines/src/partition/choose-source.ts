// Which state a restore puts back, from what its caller asks for.

import { EngineError, isEngineError } from "../base/error.ts"
import type { RestoreOptions, SkippedVersion } from "../engine.ts"
import type { VersionName, VersionSummary } from "../snapshots/manifest.ts"
import {
  newestOnLine,
  newestOnTimeline,
  newTimelineId,
  resolveVersion,
  startsNewTimeline,
} from "../snapshots/timeline.ts"
import type { PartitionIdentity, PartitionParts } from "./live-state.ts"
import { randomSeed } from "./open-partition.ts"
import type { RestoreMode } from "./open-runs.ts"
import type { ReplacedStates } from "./replaced-states.ts"
import { checkManifest, emptySource, type RestoreSource, versionSource } from "./restore-source.ts"

export type ListedVersion = Pick<VersionSummary, "timeline" | "version" | "epoch" | "createdMs">

/** The partition as it is when the restore begins. */
export interface RestoredPartition {
  readonly identity: PartitionIdentity
  readonly parts: PartitionParts
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
    return { description: { ...state, timeline: newTimeline }, runs }
  }
  const versions = await versionNames(identity, parts)
  const open = (name: VersionName): Promise<RestoreSource> => {
    // Who restores several partitions together decides for all of them.
    const isForked = options.newTimeline !== undefined || startsNewTimeline([versions], name)
    const timeline = isForked ? newTimeline : name.timeline
    return openVersion(name, partition, timeline)
  }
  if ("version" in options) return open(resolveVersion(versions, options, line))
  return newestSource(versions, partition, open, options.fallback === "previous")
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
  return [...damaged.map((name) => ({ ...name, createdMs: 0 })), ...versions]
}

async function openVersion(
  name: VersionName,
  { identity, parts, mode }: RestoredPartition,
  timeline: string,
): Promise<RestoreSource> {
  const { store, partition, partitionCount, engine } = identity
  const manifest = await parts.repository.readManifest(store, partition, name)
  checkManifest(manifest, engine, partitionCount)
  return versionSource(parts, manifest, timeline, mode)
}

/** The newest of the versions; those before it that turn out to be damaged are passed over if `fallsBack`. */
async function newestSource(
  versions: readonly ListedVersion[],
  { identity, parts, line }: RestoredPartition,
  open: (name: VersionName) => Promise<RestoreSource>,
  fallsBack: boolean,
): Promise<RestoreSource> {
  const skipped: SkippedVersion[] = []
  for (let candidates = versions; ; ) {
    const name = newestOnLine(candidates, line) ?? newestOnTimeline(candidates, candidates.at(-1)?.timeline)
    if (name === undefined) throw noVersion(identity, skipped)
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
      candidates = candidates.filter((each) => each.version !== version || each.timeline !== timeline)
    }
  }
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
