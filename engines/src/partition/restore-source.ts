// Where a restore gets its state from: a version in the repository, a state that was replaced earlier, or nothing.
// Versions that another engine or another number of partitions wrote: converted-source.ts.
//
// What can be wrong with the source is found here, before anything that is served is touched, as far as open-runs.ts
// says.

import type { ConvertedFrom, SkippedVersion } from "../engine.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { Manifest, VersionName } from "../snapshots/manifest.ts"
import { nothingSince } from "./changes.ts"
import type { PartitionParts } from "./live-state.ts"
import { arrivingRuns, openDescribedRuns, openStoredRuns, type RestoreMode } from "./open-runs.ts"
import type { StateDescription } from "./state-file.ts"

/** A state that can be opened; its runs are held by whoever has it. */
export interface RestoreSource {
  readonly description: StateDescription
  readonly runs: readonly OpenRun[]
  /** Damaged versions that it was taken instead of. */
  readonly skipped?: readonly SkippedVersion[]
  /** What wrote the version, when it is not what the partition runs. */
  readonly converted?: ConvertedFrom
}

/** A state without records, at the start of a timeline. */
export function emptySource(timeline: string, hashSeed: number): RestoreSource {
  const description = { line: [], timeline, metadata: "", hashSeed, runs: [], stored: {}, engineState: null }
  return { description, runs: [] }
}

/** A state as the state file describes it. @throws (rejects) EngineError `DATA_LOSS`; no run is then held */
export async function describedSource(
  parts: PartitionParts,
  description: StateDescription,
): Promise<RestoreSource> {
  return { description, runs: await openDescribedRuns(parts, description) }
}

/**
 * The state of a version: runs that are here already are used, the others come as `mode` says.
 * @param timeline where the next version goes.
 * @throws (rejects) EngineError `DATA_LOSS`, `REPOSITORY_FAILED`, `STORAGE_FULL`; no run is then held
 */
export async function versionSource(
  parts: PartitionParts,
  manifest: Manifest,
  timeline: string,
  mode: RestoreMode,
): Promise<RestoreSource> {
  const runs = await openStoredRuns(parts, manifest.runs, mode)
  const description: StateDescription = {
    line: [...manifest.line],
    timeline,
    metadata: manifest.metadata,
    hashSeed: manifest.hashSeed,
    runs: runs.map(({ figures }) => figures),
    stored: Object.fromEntries(manifest.runs.map((stored) => [stored.id, [stored]])),
    ...arrivingRuns(runs),
    engineState: manifest.engineState,
    ...(manifest.sessions === undefined ? {} : { sessions: manifest.sessions }),
    changes: nothingSince(manifest.createdMs),
  }
  return { description, runs }
}

/** A version in messages. */
export function versionText({ timeline, version }: VersionName): string {
  return `version ${version} of timeline ${timeline}`
}
