// The newest version that partitions have in common, found by the names of versions: a start reads one manifest of each
// partition then, and not those of all versions that are kept.
//
// Names tell enough when the partitions stand on one timeline and all have a version there. In all other cases (partitions
// that were restored alone, a timeline without a version, another number of partitions, a damaged manifest) everybody's
// manifests are asked: store-versions.ts.

import { isEngineError } from "@varve/engines"
import {
  newestOnTimeline,
  type Repository,
  startsNewTimeline,
  type VersionName,
} from "@varve/engines/internal"
import type { Partition } from "./partition.ts"

/** Where the names come from. */
export type NamesRepository = Pick<Repository, "listNames" | "readManifest">

/** What is to be put back on every one of the partitions. */
export interface NewestVersion extends VersionName {
  /** Whether what follows starts a new timeline. */
  readonly isFork: boolean
}

/**
 * @param passed versions that are not to be taken
 * @param partitionCount of the store
 * @throws (rejects) EngineError `REPOSITORY_FAILED`
 */
export async function newestByName(
  partitions: readonly Partition[],
  passed: readonly VersionName[],
  { store, partitionCount }: { readonly store: string; readonly partitionCount: number },
  repository: NamesRepository,
): Promise<NewestVersion | undefined> {
  const [timeline, ...others] = new Set(partitions.map(({ engine }) => engine.line.at(-1)?.timeline))
  if (timeline === undefined || others.length > 0) return undefined
  const names = await Promise.all(partitions.map(({ index }) => repository.listNames(store, index)))
  const here = names.map((each) => each.filter((name) => name.timeline === timeline))
  const numbers = here.map((each) => new Set(each.map(({ version }) => version)))
  for (const name of passed) if (name.timeline === timeline) numbers[0]!.delete(name.version)
  const common = here[0]!.filter(({ version }) => numbers.every((each) => each.has(version)))
  const newest = newestOnTimeline(common, timeline)
  if (newest === undefined) return undefined
  try {
    // On a timeline all versions have the same partitions.
    const manifest = await repository.readManifest(store, partitions[0]!.index, newest)
    if (manifest.partitionCount !== partitionCount) return undefined
  } catch (error) {
    if (isEngineError(error, "REPOSITORY_FAILED")) throw error
    return undefined
  }
  return { version: newest.version, timeline, isFork: startsNewTimeline(names, newest) }
}
