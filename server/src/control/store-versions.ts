// Which version of a store a caller means, over several partitions. A number means, for each partition, the version
// on the line that the partition stands on. The lines are the same unless some partitions were restored alone:
//
//     partition 0   a: 1 ── 2 ── 3 ── 4            restored alone to version 2, partition 1 goes on as b:
//     partition 1   a: 1 ── 2 ── b: 3 ── 4         version 4 of the store is a/4 of the one and b/4 of the other
//
// A version of the store is complete when every partition has it: on its own line, or under the very same name.
//
// A version may have been written when the store had another number of partitions. It is complete when all of those have
// it, and can then be put back on any partition: `withOtherLayouts`. All versions of a timeline have the same partitions.

import { EngineError } from "@varve/engines"
import {
  completeVersions,
  isOnLine,
  isSameVersion,
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
  /** The store does not have it any more: see former-partitions.ts. */
  readonly isFormer?: boolean
}

/** A version of a store, with each partition that has it. */
export interface StoreVersion extends VersionName {
  readonly parts: readonly { readonly partition: number; readonly summary: VersionSummary }[]
  /** How many partitions the store had; 0 when no part of it can be read. */
  readonly partitionCount: number
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
      partitionCount: Math.max(...parts.map(({ summary }) => summary.partitionCount)),
      createdMs: Math.max(...parts.map(({ summary }) => summary.createdMs)),
    }))
    .sort((a, b) =>
      a.timeline === b.timeline ? a.version - b.version : a.createdMs - b.createdMs || a.version - b.version,
    )
}

/**
 * The parts in the order in which they go: those of partitions that are served say that there are others, so they go last,
 * and what a removal that was cut short has left is found again.
 */
export function removalOrder({ parts }: StoreVersion): StoreVersion["parts"] {
  return [...parts].reverse()
}

/** True when every partition that has the version, or was made of it, is on a line that runs through it. */
export function isOnCurrentLine(version: StoreVersion, partitions: readonly PartitionVersions[]): boolean {
  if (isOfOtherLayout(version, partitions)) {
    return partitions.every(({ line, isFormer }) => isFormer === true || isOnLine(version, line))
  }
  return version.parts.every(({ partition }) => {
    const owner = partitions.find((each) => each.partition === partition)
    return owner !== undefined && isOnLine(version, owner.line)
  })
}

/** True when every partition has the version: under this name, or, when it is current, on the line it stands on. */
export function isComplete(version: StoreVersion, partitions: readonly PartitionVersions[]): boolean {
  if (isOfOtherLayout(version, partitions)) return version.parts.length === version.partitionCount
  const isCurrent = isOnCurrentLine(version, partitions)
  return partitions.every(
    ({ partition, versions, line, isFormer }) =>
      isFormer === true ||
      version.parts.some((part) => part.partition === partition) ||
      (isCurrent && versions.some((each) => each.version === version.version && isOnLine(each, line))),
  )
}

/**
 * What can be put back on each partition of `asked`: its own versions, and all complete ones of other layouts.
 * @param all partitions of the store, former ones too, with what is damaged
 */
export function withOtherLayouts(
  asked: readonly PartitionVersions[],
  all: readonly PartitionVersions[],
): PartitionVersions[] {
  const count = servedCount(all)
  const groups = groupVersions(all)
  const countOf = new Map<string, number>()
  for (const { timeline, partitionCount } of groups) {
    countOf.set(timeline, Math.max(partitionCount, countOf.get(timeline) ?? 0))
  }
  const countIn = (timeline: string): number => countOf.get(timeline) || count
  const others = groups
    .filter(({ timeline, parts }) => countIn(timeline) !== count && parts.length === countIn(timeline))
    .map(({ parts }) => (parts.find(({ summary }) => summary.partitionCount !== 0) ?? parts[0]!).summary)
  if (others.length === 0) return [...asked]
  return asked.map((each) => ({
    ...each,
    versions: [...each.versions.filter(({ timeline }) => countIn(timeline) === count), ...others],
  }))
}

/** How many partitions the store has. */
function servedCount(partitions: readonly PartitionVersions[]): number {
  return partitions.reduce((count, { isFormer }) => (isFormer === true ? count : count + 1), 0)
}

/** Whether the store had another number of partitions. @param partitions all of the store */
function isOfOtherLayout(
  { partitionCount }: Pick<StoreVersion, "partitionCount">,
  partitions: readonly PartitionVersions[],
): boolean {
  return partitionCount !== 0 && partitionCount !== servedCount(partitions)
}

/**
 * The version of the store that `wanted` means, for deleting or pinning: some partition has it. Here the current line has
 * no precedence: the same call, made again, would mean another version as soon as the first one is gone.
 * @throws EngineError `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`
 */
export function findVersion(
  partitions: readonly PartitionVersions[],
  wanted: { readonly version: number; readonly timeline: string | undefined },
): StoreVersion {
  const versions = groupVersions(partitions)
  const timelines = versions
    .filter(({ version }) => version === wanted.version)
    .map(({ timeline }) => timeline)
  if (wanted.timeline === undefined && timelines.length > 1) {
    throw new EngineError(
      "VERSION_AMBIGUOUS",
      `version ${wanted.version} stands on several timelines: name one of ${timelines.join(", ")}`,
    )
  }
  return resolveVersion(versions, wanted, [])
}

/**
 * The version of each partition to put back: `wanted`, or the newest that all `partitions` have. "Newest" follows the
 * lines that the partitions are on (after a crash: were on), so that what was rolled back stays rolled back. Without
 * a version in common there, as in a new directory, it is the one sealed last.
 * @throws EngineError `SNAPSHOT_NOT_FOUND`, `VERSION_AMBIGUOUS`
 */
export function restoreTargets(
  partitions: readonly PartitionVersions[],
  wanted: { readonly version: number; readonly timeline: string | undefined } | undefined,
): VersionName[] {
  const current = wanted?.timeline === undefined ? currentVersions(partitions, wanted?.version) : undefined
  return current ?? partitions.map(() => commonVersion(partitions, wanted))
}

/**
 * The listings with the versions whose manifests cannot be believed, before all others: who restores one of them, by
 * its number or because it is the newest, hears of the damage.
 */
export function withDamaged(
  partitions: readonly PartitionVersions[],
  damagedOf: (partition: number) => readonly VersionName[],
): PartitionVersions[] {
  return partitions.map((each) => ({
    ...each,
    versions: [...damagedOf(each.partition).map(unreadableSummary), ...each.versions],
  }))
}

/** The listings without these versions. */
export function without(
  partitions: readonly PartitionVersions[],
  names: readonly VersionName[],
): PartitionVersions[] {
  const isNamed = ({ version, timeline }: VersionName): boolean =>
    names.some((name) => name.version === version && name.timeline === timeline)
  return partitions.map((each) => ({ ...each, versions: each.versions.filter((one) => !isNamed(one)) }))
}

/** Nothing but the name is known. */
function unreadableSummary({ version, timeline }: VersionName): VersionSummary {
  return {
    version,
    timeline,
    epoch: 0,
    parent: null,
    line: [],
    createdMs: 0,
    engine: "",
    partitionCount: 0,
    recordCount: 0,
    bytes: 0,
    bytesNew: 0,
    metadata: new Uint8Array(0),
    pinned: false,
    pinNames: [],
  }
}

/** Whether the next version of all `partitions` starts a new timeline, one for all, when these are put back. */
export function needsNewTimeline(
  partitions: readonly PartitionVersions[],
  targets: readonly VersionName[],
): boolean {
  const isFork = partitions.some(({ versions }, at) => startsNewTimeline([versions], targets[at]!))
  return isFork || targets.some(({ timeline }) => timeline !== targets[0]!.timeline)
}

/**
 * With how many partitions the versions were written that are put back on `partitions`.
 * @param partitionCount how many the store has
 */
export function layoutOf(
  partitions: readonly PartitionVersions[],
  targets: readonly VersionName[],
  partitionCount: number,
): number {
  for (const [at, { versions }] of partitions.entries()) {
    const found = versions.find((each) => isSameVersion(each, targets[at]!))
    if (found !== undefined && found.partitionCount !== 0) return found.partitionCount
  }
  return partitionCount
}

/** For each partition the version with this number, or the highest in common, on its own line; undefined if none. */
function currentVersions(
  partitions: readonly PartitionVersions[],
  wanted: number | undefined,
): VersionName[] | undefined {
  const byNumber = partitions.map(
    ({ versions, line }) =>
      new Map(versions.filter((each) => isOnLine(each, line)).map((each) => [each.version, each])),
  )
  const common = [...(byNumber[0]?.keys() ?? [])].filter((number) => byNumber.every((map) => map.has(number)))
  const chosen = common.filter((number) => wanted === undefined || number === wanted)
  if (chosen.length === 0) return undefined
  const number = Math.max(...chosen)
  return byNumber.map((map) => map.get(number)!)
}

/** The version that all partitions have under one name. */
function commonVersion(
  partitions: readonly PartitionVersions[],
  wanted: { readonly version: number; readonly timeline: string | undefined } | undefined,
): VersionName {
  const listings = partitions.map(({ versions }) => versions)
  if (wanted === undefined) {
    const newest = newestComplete(listings)
    if (newest !== undefined) return newest
    const message = listings.every((versions) => versions.length === 0)
      ? "there is no version yet"
      : `${whichPartitions(partitions)} no version in common`
    throw new EngineError("SNAPSHOT_NOT_FOUND", message)
  }
  const complete = completeVersions(listings)
  const partial = groupVersions(partitions).find((each) => each.version === wanted.version)
  if (partial !== undefined && !complete.some((each) => each.version === wanted.version)) {
    const having = partial.parts.map(({ partition }) => partition).join(", ")
    throw new EngineError(
      "SNAPSHOT_NOT_FOUND",
      `version ${wanted.version} is not complete: of the partitions asked only ${having} have it on timeline ${partial.timeline}`,
    )
  }
  return resolveVersion(complete, wanted, sharedLine(partitions))
}

/** The line of all partitions when they agree on where they stand; otherwise none. */
function sharedLine(partitions: readonly PartitionVersions[]): readonly VersionName[] {
  const [first, ...others] = partitions.filter(({ isFormer }) => isFormer !== true)
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
