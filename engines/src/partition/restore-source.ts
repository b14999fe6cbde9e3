// Where a restore gets its state from: a version in the repository, a state that was replaced earlier, or nothing.
// What can be wrong with the source is found here, before anything that is served is touched, as far as open-runs.ts
// says.

import { EngineError } from "../base/error.ts"
import type { SkippedVersion } from "../engine.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { Manifest, VersionName } from "../snapshots/manifest.ts"
import type { PartitionParts } from "./live-state.ts"
import { arrivingRuns, openDescribedRuns, openStoredRuns, type RestoreMode } from "./open-runs.ts"
import type { StateDescription } from "./state-file.ts"

/** A state that can be opened; its runs are held by whoever has it. */
export interface RestoreSource {
  readonly description: StateDescription
  readonly runs: readonly OpenRun[]
  /** Damaged versions that it was taken instead of. */
  readonly skipped?: readonly SkippedVersion[]
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
  }
  return { description, runs }
}

/** @throws EngineError `ENGINE_MISMATCH` when the version was written by another engine or with other partitions. */
export function checkManifest(manifest: Manifest, engine: string, partitionCount: number): void {
  const name = versionText(manifest)
  if (manifest.engine !== engine) {
    throw new EngineError(
      "ENGINE_MISMATCH",
      `${name} was written by the engine ${manifest.engine}; this partition runs ${engine}`,
    )
  }
  if (manifest.partitionCount !== partitionCount) {
    throw new EngineError(
      "ENGINE_MISMATCH",
      `${name} was written with ${manifest.partitionCount} partitions; this store has ${partitionCount}`,
    )
  }
}

function versionText({ timeline, version }: VersionName): string {
  return `version ${version} of timeline ${timeline}`
}
