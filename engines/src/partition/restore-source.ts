// Where a restore gets its state from: a version in the repository, a state that was replaced earlier, or nothing.
// Everything that can be wrong with the source is found here, before anything that is served is touched.

import { EngineError } from "../base/error.ts"
import type { RunDirectory } from "../runs/run-directory.ts"
import type { OpenRun } from "../runs/run-set.ts"
import type { Manifest, StoredRun, VersionName } from "../snapshots/manifest.ts"
import type { Repository } from "../snapshots/repository.ts"
import type { StateDescription } from "./state-file.ts"

/** A state that can be opened; its runs are held by whoever has it. */
export interface RestoreSource {
  readonly description: StateDescription
  readonly runs: readonly OpenRun[]
}

/** A state without records, at the start of a timeline. */
export function emptySource(timeline: string, hashSeed: number): RestoreSource {
  const description = { line: [], timeline, metadata: "", hashSeed, runs: [], stored: {}, engineState: null }
  return { description, runs: [] }
}

/** A state as the state file describes it. @throws (rejects) EngineError `DATA_LOSS`; no run is then held */
export async function describedSource(
  directory: RunDirectory,
  description: StateDescription,
): Promise<RestoreSource> {
  const runs: OpenRun[] = []
  try {
    for (const figures of description.runs) runs.push(await directory.open(figures))
  } catch (error) {
    for (const run of runs) run.release()
    throw error
  }
  return { description, runs }
}

/**
 * The state of a version: runs that are here already are used, the others are fetched.
 * @param timeline where the next version goes.
 * @throws (rejects) EngineError `DATA_LOSS`, `REPOSITORY_FAILED`, `STORAGE_FULL`; no run is then held
 */
export async function versionSource(
  repository: Repository,
  directory: RunDirectory,
  manifest: Manifest,
  timeline: string,
): Promise<RestoreSource> {
  const runs: OpenRun[] = []
  try {
    for (const stored of manifest.runs) runs.push(await openOrFetch(repository, directory, stored))
  } catch (error) {
    for (const run of runs) run.release()
    throw error
  }
  const description: StateDescription = {
    line: [...manifest.line],
    timeline,
    metadata: manifest.metadata,
    hashSeed: manifest.hashSeed,
    runs: runs.map(({ figures }) => figures),
    stored: Object.fromEntries(manifest.runs.map((stored) => [stored.id, [stored]])),
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

async function openOrFetch(
  repository: Repository,
  directory: RunDirectory,
  stored: StoredRun,
): Promise<OpenRun> {
  const local = await directory.findById(stored.id)
  if (local !== undefined) return local
  await repository.fetchRun(stored, directory.pathFor(stored))
  return directory.adopt(stored)
}
