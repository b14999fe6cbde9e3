// Which version a number means, and how versions follow one another. Pure functions over listings, so that the
// rules of DESIGN's timelines can be read, and tested, in one place.
//
//     timeline a   1 ── 2 ── 3 ── 4              restore(2) leaves 3 and 4 where they are;
//                       └──────── b: 3 ── 5      the next version starts timeline b and may be 3 again
//
//     line of b:5 = [{a, 2}, {b, 5}]             on it: a:1, a:2, b:3, b:5; not on it: a:3, a:4
//
// Numbers ascend along a line, so a number stands on a line at most once.

import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { Random } from "../io/random.ts"
import type { VersionName, VersionSummary } from "./manifest.ts"

/** Versions in the order in which `Repository.listVersions` gives them, or a part of them. */
export type Listing = readonly (Pick<VersionSummary, "timeline" | "version" | "createdMs"> & {
  readonly epoch?: number
})[]

/** Milliseconds in base 36 take nine digits until the year 5188. */
const TIMELINE_TIME_DIGITS = 9
const TIMELINE_RANDOM_BYTES = 8

/** A new timeline's name: its time first, so that names sort by age; then 64 random bits. */
export function newTimelineId(clock: Clock, random: Random): string {
  const time = Math.max(0, Math.floor(clock.nowMs())).toString(36).padStart(TIMELINE_TIME_DIGITS, "0")
  return `${time}-${Buffer.from(random.bytes(TIMELINE_RANDOM_BYTES)).toString("hex")}`
}

/** True when both name the same version. */
export function isSameVersion(a: VersionName, b: VersionName): boolean {
  return a.timeline === b.timeline && a.version === b.version
}

/** True when `name` is one of the versions that `line` runs through. */
export function isOnLine(name: VersionName, line: readonly VersionName[]): boolean {
  return line.some((stretch) => stretch.timeline === name.timeline && name.version <= stretch.version)
}

/** The line that ends in `next`, which follows the last version of `line` on its timeline or starts one. */
export function extendLine(line: readonly VersionName[], next: VersionName): VersionName[] {
  const last = line.at(-1)
  const end = { timeline: next.timeline, version: next.version }
  if (last === undefined) return [end]
  assert(next.version > last.version, "versions ascend along a line")
  if (last.timeline === next.timeline) return [...line.slice(0, -1), end]
  assert(!line.some((stretch) => stretch.timeline === next.timeline), "a line leaves a timeline for good")
  return [...line, end]
}

/** The line with all versions that may follow on `timeline`: it is open at its end. */
export function openLine(line: readonly VersionName[], timeline: string): VersionName[] {
  const before = line.filter((stretch) => stretch.timeline !== timeline)
  return [...before, { timeline, version: Number.MAX_SAFE_INTEGER }]
}

/**
 * The version that a caller means by `version`: the one on `timeline` when that is given; else the one on the
 * current `line`; else the one that stands anywhere else, when it is the only one.
 * @throws EngineError `SNAPSHOT_NOT_FOUND`; `VERSION_AMBIGUOUS`, naming the timelines to choose from
 */
export function resolveVersion<Version extends Listing[number]>(
  versions: readonly Version[],
  wanted: { readonly version: number; readonly timeline?: string | undefined },
  line: readonly VersionName[],
): Version {
  const candidates = versions.filter(
    ({ version, timeline }) =>
      version === wanted.version && (wanted.timeline === undefined || timeline === wanted.timeline),
  )
  const chosen =
    candidates.length === 1 ? candidates[0] : candidates.find((candidate) => isOnLine(candidate, line))
  if (chosen !== undefined) return chosen
  if (candidates.length === 0) {
    const where = wanted.timeline === undefined ? "" : ` on timeline ${wanted.timeline}`
    throw new EngineError("SNAPSHOT_NOT_FOUND", `there is no version ${wanted.version}${where}`)
  }
  const timelines = candidates.map(({ timeline }) => timeline).join(", ")
  throw new EngineError(
    "VERSION_AMBIGUOUS",
    `version ${wanted.version} stands on several timelines, none of them current: name one of ${timelines}`,
  )
}

/** The version with the highest number on `line`. */
export function newestOnLine<Version extends VersionName>(
  versions: readonly Version[],
  line: readonly VersionName[],
): Version | undefined {
  return highest(versions.filter((version) => isOnLine(version, line)))
}

/** The version with the highest number on `timeline`. */
export function newestOnTimeline<Version extends VersionName>(
  versions: readonly Version[],
  timeline: string | undefined,
): Version | undefined {
  return highest(versions.filter((version) => version.timeline === timeline))
}

/**
 * Whether the version that follows a restore of `restored` starts a new timeline: it does unless `restored` is
 * the newest on its own timeline, in the listing of every partition that is restored together (one or more).
 */
export function startsNewTimeline(
  listings: readonly (readonly VersionName[])[],
  restored: VersionName,
): boolean {
  return listings.some((versions) =>
    versions.some(({ timeline, version }) => timeline === restored.timeline && version > restored.version),
  )
}

/** A version that every partition has. */
export interface CompleteVersion extends VersionName {
  /** When the last partition sealed it. */
  readonly createdMs: number
  /** Under which the first partition's owner wrote it. */
  readonly epoch: number
}

/** The versions that all listings have, in the order of the first one. One listing for each partition. */
export function completeVersions(listings: readonly Listing[]): CompleteVersion[] {
  const [first, ...others] = listings
  if (first === undefined) return []
  const complete = new Map<string, CompleteVersion>()
  for (const { timeline, version, createdMs, epoch = 0 } of first) {
    complete.set(`${timeline}/${version}`, { timeline, version, createdMs, epoch })
  }
  for (const listing of others) {
    const created = new Map(listing.map((each) => [`${each.timeline}/${each.version}`, each.createdMs]))
    for (const [name, version] of complete) {
      const createdMs = created.get(name)
      if (createdMs === undefined) complete.delete(name)
      else complete.set(name, { ...version, createdMs: Math.max(version.createdMs, createdMs) })
    }
  }
  return [...complete.values()]
}

/**
 * The newest version that all listings have: the highest number on `line`; without a line, over all timelines,
 * the one sealed last.
 */
export function newestComplete(
  listings: readonly Listing[],
  line?: readonly VersionName[],
): CompleteVersion | undefined {
  const complete = completeVersions(listings)
  if (line !== undefined) return newestOnLine(complete, line)
  return complete.reduce<CompleteVersion | undefined>(
    (newest, each) => (newest === undefined || isSealedLater(each, newest) ? each : newest),
    undefined,
  )
}

/** Clocks may stand still or jump, and owners' clocks differ; on one timeline the number decides. */
function isSealedLater(a: CompleteVersion, b: CompleteVersion): boolean {
  if (a.timeline === b.timeline) return a.version > b.version
  if (a.epoch !== b.epoch) return a.epoch > b.epoch
  return a.createdMs !== b.createdMs ? a.createdMs > b.createdMs : a.version > b.version
}

function highest<Version extends VersionName>(versions: readonly Version[]): Version | undefined {
  return versions.reduce<Version | undefined>(
    (newest, each) => (newest === undefined || each.version > newest.version ? each : newest),
    undefined,
  )
}
