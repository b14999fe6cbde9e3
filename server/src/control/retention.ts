// Which versions of a store stay, and why: a pure function over its listing.
//
//   current line     1 ─ 2 ─ 3 ─ 4p ─ 5i ─ 6 ─ 7 ─ 8i ─ 9       p: pinned   i: incomplete
//   keep last 3      x   x   x   ^    x    ^   ^   ^    ^
//                                          └ the oldest kept: what is incomplete or lies on another timeline goes
//                                            when it is older
//
// Whatever the rules say, the newest complete version stays (a crash or a new directory takes it), and every version on
// which a partition stands, which is being written, which is pinned, or of which something is damaged: that one is for
// a person to look at. Without a rule nothing goes.

import type { VersionName } from "@varve/engines/internal"
import { formatDuration } from "../config/duration.ts"
import { isComplete, isOnCurrentLine, type PartitionVersions, type StoreVersion } from "./store-versions.ts"

/** 0: there is no such rule. What either keeps is kept. */
export interface RetentionRules {
  /** The newest complete versions of the current line. */
  readonly keepLast: number
  /** What is younger than that. */
  readonly keepForMs: number
}

export interface RetentionInput {
  /** As `groupVersions` gives them. */
  readonly versions: readonly StoreVersion[]
  readonly partitions: readonly PartitionVersions[]
  /** On which the partitions stand. */
  readonly standing: readonly VersionName[]
  /** Numbers of versions that are sealed and not committed everywhere. */
  readonly pending: ReadonlySet<number>
  /** Versions of which some partition's manifest cannot be read. */
  readonly damaged: readonly VersionName[]
  readonly nowMs: number
}

export interface RetentionDecision {
  readonly version: StoreVersion
  readonly isKept: boolean
  /** For people: "pinned as nightly". */
  readonly reason: string
}

/** A version with what the rules ask of it. */
interface Candidate {
  readonly version: StoreVersion
  readonly isCurrent: boolean
  readonly isComplete: boolean
}

/** What becomes of each version, in the order of the input. */
export function decideRetention(rules: RetentionRules, input: RetentionInput): RetentionDecision[] {
  const { versions, partitions } = input
  if (rules.keepLast === 0 && rules.keepForMs === 0) {
    return versions.map((version) => ({ version, isKept: true, reason: "no rule lets anything go" }))
  }
  const candidates = versions.map((version) => ({
    version,
    isCurrent: isOnCurrentLine(version, partitions),
    isComplete: version.parts.length === partitions.length || isComplete(version, partitions),
  }))
  const newest = newestNumbers(candidates, Math.max(1, rules.keepLast))
  const oldestKept = candidates
    .filter((each) => isAnchor(each, rules, input, newest))
    .reduce<StoreVersion | undefined>(
      (oldest, { version }) => (oldest === undefined || version.version < oldest.version ? version : oldest),
      undefined,
    )
  return candidates.map((candidate) => {
    const { version } = candidate
    const kept = whyKept(candidate, rules, input, newest) ?? whyNewer(candidate, oldestKept)
    return kept === undefined
      ? { version, isKept: false, reason: whyGone(candidate, rules, oldestKept!) }
      : { version, isKept: true, reason: kept }
  })
}

/** Numbers of the newest `count` complete versions of the current line; partitions may be on lines of their own. */
function newestNumbers(candidates: readonly Candidate[], count: number): number[] {
  const numbers = candidates
    .filter((each) => each.isCurrent && each.isComplete)
    .map(({ version }) => version.version)
  return [...new Set(numbers)].sort((a, b) => b - a).slice(0, count)
}

/** Whether what is older than this version is old. Pins do not count: one on an ancient version would keep all else. */
function isAnchor(
  candidate: Candidate,
  rules: RetentionRules,
  input: RetentionInput,
  newest: readonly number[],
): boolean {
  if (!candidate.isCurrent || !candidate.isComplete) return false
  const { version } = candidate
  return (
    newest.includes(version.version) || isYoung(version, rules, input) || isAmong(version, input.standing)
  )
}

/** Why the rules, or the state of the store, keep the version. */
function whyKept(
  { version, isCurrent, isComplete: complete }: Candidate,
  rules: RetentionRules,
  input: RetentionInput,
  newest: readonly number[],
): string | undefined {
  const pins = pinsOf(version)
  if (pins !== undefined) return pins
  if (isAmong(version, input.standing)) return "a partition stands on it"
  if (input.pending.has(version.version)) return "it is being written"
  if (isAmong(version, input.damaged)) return "a part of it is damaged: look at it, then delete it"
  if (isCurrent && complete) {
    if (version.version === newest[0]) return "the newest complete version"
    if (newest.includes(version.version)) return `one of the newest ${rules.keepLast} complete versions`
  }
  return isYoung(version, rules, input) ? `younger than ${formatDuration(rules.keepForMs)}` : undefined
}

/** Why a version that no rule keeps stays all the same: what is kept may be built on it, or it may still grow. */
function whyNewer(
  { version, isCurrent, isComplete: complete }: Candidate,
  oldestKept: StoreVersion | undefined,
): string | undefined {
  if (oldestKept === undefined) return "no version of the current line is complete yet"
  const than = `newer than version ${oldestKept.version}, the oldest one kept`
  if (!isCurrent) return version.createdMs > oldestKept.createdMs ? `on another timeline, ${than}` : undefined
  return !complete && version.version > oldestKept.version ? `incomplete, ${than}` : undefined
}

function whyGone(
  { isCurrent, isComplete: complete }: Candidate,
  { keepLast, keepForMs }: RetentionRules,
  oldestKept: StoreVersion,
): string {
  const than = `older than version ${oldestKept.version}, the oldest one kept`
  if (!isCurrent) return `on another timeline, ${than}`
  if (!complete) return `incomplete, ${than}`
  const rules = [
    ...(keepLast === 0
      ? []
      : [`older than the newest ${keepLast === 1 ? "complete version" : `${keepLast} complete versions`}`]),
    ...(keepForMs === 0 ? [] : [`older than ${formatDuration(keepForMs)}`]),
  ]
  return rules.join(" and ")
}

function isYoung(
  { createdMs }: StoreVersion,
  { keepForMs }: RetentionRules,
  { nowMs }: RetentionInput,
): boolean {
  return keepForMs > 0 && nowMs - createdMs < keepForMs
}

function isAmong({ timeline, version }: VersionName, names: readonly VersionName[]): boolean {
  return names.some((name) => name.timeline === timeline && name.version === version)
}

/** "pinned as a, b"; undefined when no part of the version is pinned. */
function pinsOf({ parts }: StoreVersion): string | undefined {
  const pinned = parts.filter(({ summary }) => summary.pinned)
  if (pinned.length === 0) return undefined
  const names = [...new Set(pinned.flatMap(({ summary }) => summary.pinNames))].sort()
  return names.length === 0 ? "pinned" : `pinned as ${names.join(", ")}`
}
