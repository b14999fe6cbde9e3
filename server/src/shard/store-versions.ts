// Which version of a store a caller means, over several partitions. A version of a store is complete when every
// partition has committed it: the same number on the same timeline.

import { EngineError } from "@varve/engines"
import {
  completeVersions,
  isOnLine,
  newestComplete,
  resolveVersion,
  startsNewTimeline,
  type VersionName,
  type VersionSummary,
} from "@varve/engines/internal"

/** What is known of a partition: its versions, oldest first, and the line that it stands on (`Engine.line`). */
export interface PartitionVersions {
  readonly partition: number
  readonly versions: readonly VersionSummary[]
  readonly line: readonly VersionName[]
}

/** A version of a store, with each partition that has it. */
export interface StoreVersion extends VersionName {
  readonly parts: readonly { readonly partition: number; readonly summary: VersionSummary }[]
  /** When the last partition sealed it. */
  readonly createdMs: number
}

/** All versions over `partitions`, oldest first. */
export function groupVersions(partitions: readonly PartitionVersions[]): StoreVersion[] {
  const groups = new Map<string, { partition: number; summary: VersionSummary }[]>()
  for (const { partition, versions } of partitions) {
    for (const summary of versions) {
      const name = `${summary.timeline}/${summary.version}`
      const parts = groups.get(name)
      if (parts === undefined) groups.set(name, [{ partition, summary }])
      else parts.push({ partition, summary })
    }
  }
  return [...groups.values()]
    .map((parts) => ({
      timeline: parts[0]!.summary.timeline,
      version: parts[0]!.summary.version,
      parts,
      createdMs: Math.max(...parts.map(({ summary }) => summary.createdMs)),
    }))
    .sort((a, b) =>
      a.timeline === b.timeline ? a.version - b.version : a.createdMs - b.createdMs || a.version - b.version,
    )
}

/** True when every partition that has the version is on a line that runs through it. */
export function isOnCurrentLine(version: StoreVersion, partitions: readonly PartitionVersions[]): boolean {
  return version.parts.every(({ partition }) => {
    const owner = partitions.find((each) => each.partition === partition)
    return owner !== undefined && isOnLine(version, owner.line)
  })
}

/**
 * The version of the store that `wanted` means, for deleting or pinning: some partition has it.
 * @throws EngineError `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`
 */
export function findVersion(
  partitions: readonly PartitionVersions[],
  wanted: { readonly version: number; readonly timeline: string | undefined },
): StoreVersion {
  return resolveVersion(groupVersions(partitions), wanted, sharedLine(partitions))
}

/**
 * The version to put back: `wanted`, or the newest that all `partitions` have. "Newest" follows the line that
 * the partitions are on (after a crash: were on), so that what was rolled back stays rolled back. Without a complete
 * version there, as in a new directory, it is the one sealed last.
 * @throws EngineError `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`
 */
export function restoreTarget(
  partitions: readonly PartitionVersions[],
  wanted: { readonly version: number; readonly timeline: string | undefined } | undefined,
): VersionName {
  const listings = partitions.map(({ versions }) => versions)
  if (wanted === undefined) {
    const onLine = partitions.map(({ versions, line }) => versions.filter((each) => isOnLine(each, line)))
    const newest = newestComplete(onLine) ?? newestComplete(listings)
    if (newest === undefined) {
      throw new EngineError("SNAPSHOT_NOT_FOUND", `${whichPartitions(partitions)} no version in common`)
    }
    return newest
  }
  const complete = completeVersions(listings)
  if (!complete.some((each) => each.version === wanted.version)) {
    const partial = groupVersions(partitions).find((each) => each.version === wanted.version)
    if (partial !== undefined) {
      const having = partial.parts.map(({ partition }) => partition).join(", ")
      throw new EngineError(
        "SNAPSHOT_NOT_FOUND",
        `version ${wanted.version} is not complete: of the partitions asked only ${having} have it on timeline ${partial.timeline}`,
      )
    }
  }
  return resolveVersion(complete, wanted, sharedLine(partitions))
}

/** Whether the version after a restore of `target` must start a new timeline, on all of `partitions`. */
export function needsNewTimeline(partitions: readonly PartitionVersions[], target: VersionName): boolean {
  return startsNewTimeline(
    partitions.map(({ versions }) => versions),
    target,
  )
}

/** The line of all partitions when they agree on where they stand; otherwise none. */
function sharedLine(partitions: readonly PartitionVersions[]): readonly VersionName[] {
  const [first, ...others] = partitions
  if (first === undefined) return []
  const agree = others.every(({ line }) => isSameLine(line, first.line))
  return agree ? first.line : []
}

function isSameLine(a: readonly VersionName[], b: readonly VersionName[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ timeline, version }, at) => timeline === b[at]?.timeline && version === b[at].version)
  )
}

function whichPartitions(partitions: readonly PartitionVersions[]): string {
  const [first] = partitions
  if (partitions.length === 1 && first !== undefined) return `partition ${first.partition} has`
  return `partitions ${partitions.map(({ partition }) => partition).join(", ")} have`
}
