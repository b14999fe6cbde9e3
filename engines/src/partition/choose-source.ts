// Which state a restore puts back, from what its caller asks for.

import { EngineError } from "../base/error.ts"
import type { RestoreOptions } from "../engine.ts"
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
import type { ReplacedStates } from "./replaced-states.ts"
import { checkManifest, emptySource, type RestoreSource, versionSource } from "./restore-source.ts"

export type ListedVersion = Pick<VersionSummary, "timeline" | "version" | "createdMs">

/**
 * The state that `options` mean, its runs held for the caller.
 * @param present the line that the partition stands on, and the states that it has replaced
 * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`, `REPLACED_STATE_NOT_FOUND`, `ENGINE_MISMATCH`,
 * `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`
 */
export async function chooseSource(
  options: RestoreOptions,
  identity: PartitionIdentity,
  parts: PartitionParts,
  present: { readonly line: readonly VersionName[]; readonly replaced: ReplacedStates },
): Promise<RestoreSource> {
  const { repository, directory, seams } = parts
  const { store, partition, partitionCount, engine } = identity
  const newTimeline = options.newTimeline ?? newTimelineId(seams.clock, seams.random)
  if ("empty" in options) return emptySource(newTimeline, randomSeed(seams.random.bytes(4)))
  if ("replaced" in options) {
    const { state, runs } = present.replaced.get(options.replaced)
    // Its own timeline may have gone on without it.
    return { description: { ...state, timeline: newTimeline }, runs }
  }
  const versions = await versionNames(identity, parts)
  const name =
    "version" in options
      ? resolveVersion(versions, options, present.line)
      : (newestOnLine(versions, present.line) ?? newestOnTimeline(versions, versions.at(-1)?.timeline))
  if (name === undefined) {
    throw new EngineError("SNAPSHOT_NOT_FOUND", `partition ${partition} of ${store} has no version yet`)
  }
  const manifest = await repository.readManifest(store, partition, name)
  checkManifest(manifest, engine, partitionCount)
  // Who restores several partitions together decides for all of them.
  const isForked = options.newTimeline !== undefined || startsNewTimeline([versions], name)
  const timeline = isForked ? newTimeline : name.timeline
  return versionSource(repository, directory, manifest, timeline)
}

/**
 * Names of versions, oldest first; before all others those whose manifests are damaged. Who asks for one of them hears
 * of the damage, and no other version is taken for it.
 */
export async function versionNames(
  { store, partition }: PartitionIdentity,
  { repository }: PartitionParts,
): Promise<ListedVersion[]> {
  const versions = await repository.listVersions(store, partition)
  const damaged = repository.damagedVersions(store, partition)
  return [...damaged.map((name) => ({ ...name, createdMs: 0 })), ...versions]
}
