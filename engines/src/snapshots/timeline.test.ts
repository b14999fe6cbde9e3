// The rules of timelines as tables.
//
//   a   1 ── 2 ── 3 ── 4
//            ├─── b: 3 ── 5
//            └─── c: 6

import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import type { VersionName } from "./manifest.ts"
import {
  completeVersions,
  extendLine,
  isOnLine,
  newestComplete,
  newestOnLine,
  newestOnTimeline,
  newTimelineId,
  openLine,
  resolveVersion,
  startsNewTimeline,
} from "./timeline.ts"

/** `a1` is version 1 on timeline a. */
function name(text: string): VersionName {
  return { timeline: text.charAt(0), version: Number(text.slice(1)) }
}

function line(text: string): VersionName[] {
  return text.split(" ").filter(Boolean).map(name)
}

/** Versions created one after the other. */
function listing(text: string) {
  return line(text).map((each, i) => ({ ...each, createdMs: 1000 + i }))
}

function text(version: VersionName | undefined): string {
  return version === undefined ? "none" : `${version.timeline}${version.version}`
}

function outcome(act: () => VersionName): string {
  try {
    return text(act())
  } catch (error) {
    if (isEngineError(error)) return error.reason
    throw error
  }
}

const versions = listing("a1 a2 a3 a4 b3 b5 c6")

describe("timeline: the version a number means", () => {
  test.each([
    ["1", "b5", "", "a1"],
    ["3", "a4", "", "a3"],
    ["3", "a2 b5", "", "b3"],
    ["3", "a2 b3", "", "b3"],
    ["3", "a2", "", "VERSION_AMBIGUOUS"],
    ["3", "a2 c6", "", "VERSION_AMBIGUOUS"],
    ["3", "", "", "VERSION_AMBIGUOUS"],
    ["4", "a2 b5", "", "a4"],
    ["6", "a4", "", "c6"],
    ["7", "a4", "", "SNAPSHOT_NOT_FOUND"],
    ["3", "a2 c6", "a", "a3"],
    ["3", "a4", "b", "b3"],
    ["3", "a4", "c", "SNAPSHOT_NOT_FOUND"],
  ])("%s on the line [%s], timeline given: %o, is %s", (version, current, timeline, expected) => {
    const wanted = { version: Number(version), timeline: timeline === "" ? undefined : timeline }
    expect(outcome(() => resolveVersion(versions, wanted, line(current)))).toBe(expected)
  })

  test("an ambiguous number names the timelines to choose from", () => {
    expect(() => resolveVersion(versions, { version: 3 }, line("c6"))).toThrow(/one of a, b$/)
  })
})

describe("timeline: lines", () => {
  test.each([
    ["", "a1", "a1"],
    ["a1", "a2", "a2"],
    ["a2", "b3", "a2 b3"],
    ["a2 b3", "b9", "a2 b9"],
  ])("[%s] extended by %s is [%s]", (before, next, after) => {
    expect(extendLine(line(before), name(next)).map(text).join(" ")).toBe(after)
  })

  test.each([
    ["a2", "a2"],
    ["a2", "b1"],
    ["a2 b3", "a4"],
  ])("[%s] is never extended by %s", (before, next) => {
    expect(() => extendLine(line(before), name(next))).toThrow("invariant broken")
  })

  test.each([
    ["a1", true],
    ["a2", true],
    ["a3", false],
    ["b3", true],
    ["b5", true],
    ["b6", false],
    ["c3", false],
  ])("%s on the line [a2 b5]: %s", (version, expected) => {
    expect(isOnLine(name(version), line("a2 b5"))).toBe(expected)
  })

  test.each([
    ["a4", "a4"],
    ["a2 b5", "b5"],
    ["a2", "a2"],
    ["d9", "none"],
    ["", "none"],
  ])("the newest on [%s] is %s", (current, expected) => {
    expect(text(newestOnLine(versions, line(current)))).toBe(expected)
  })

  test.each([
    ["a", "a4"],
    ["b", "b5"],
    ["d", "none"],
  ])("the newest on timeline %s is %s", (timeline, expected) => {
    expect(text(newestOnTimeline(versions, timeline))).toBe(expected)
  })

  test.each([
    ["a4", ["a1 a2 a3 a4 b3"], false],
    ["a3", ["a1 a2 a3 a4 b3"], true],
    ["b3", ["a1 a2 a3 a4 b3"], false],
    ["a3", ["a1 a2 a3", "a1 a2 a3 a4"], true],
    ["a3", ["a1 a2 a3", "a1 a2 a3"], false],
  ])("a restore of %s among %o starts a timeline: %s", (restored, listings, expected) => {
    expect(startsNewTimeline(listings.map(listing), name(restored))).toBe(expected)
  })

  test("identities of timelines sort by their time and differ within one millisecond", () => {
    let drawn = 0
    const random = { bytes: (count: number) => new Uint8Array(count).fill(++drawn) }
    const at = (ms: number) =>
      newTimelineId({ nowMs: () => ms } as Parameters<typeof newTimelineId>[0], random)
    const ids = [at(0), at(1), at(1_790_000_000_000), at(36 ** 8 - 1), at(36 ** 8), at(4_000_000_000_000)]
    expect(ids[0]).toBe("000000000-0101010101010101")
    expect([...ids].sort()).toEqual(ids)
    expect(at(5)).not.toBe(at(5))
    for (const id of ids) expect(id).toMatch(/^[0-9a-z-]{1,40}$/)
  })
})

describe("timeline: completeness", () => {
  test.each([
    [["a1 a2", "a1 a2"], "a1 a2", "a2"],
    [["a1 a2", "a1"], "a1", "a1"],
    [["a1 a2", "a1 b2"], "a1", "a1"],
    [["a1 a2 b2", "a1 b2 a2"], "a1 a2 b2", "a2"],
    [["a1", ""], "", "none"],
    [[], "", "none"],
    [["a5 a6 b6"], "a5 a6 b6", "b6"],
  ])("of %o every partition has [%s]; the newest of all is %s", (listings, all, newest) => {
    expect(completeVersions(listings.map(listing)).map(text).join(" ")).toBe(all)
    expect(text(newestComplete(listings.map(listing)))).toBe(newest)
  })

  test.each([
    ["a2 b3", "b3"],
    ["a2", "a2"],
    ["a9", "a4"],
    ["c9", "none"],
  ])("the newest complete one on [%s] is %s", (current, expected) => {
    const listings = ["a1 a2 a3 a4 b3 b4", "a1 a2 a3 a4 b3"].map(listing)
    expect(text(newestComplete(listings, line(current)))).toBe(expected)
  })

  test("a later owner's version is newer, whatever its clock said", () => {
    const versions = [
      { timeline: "a", version: 4, createdMs: 9000, epoch: 1 },
      { timeline: "b", version: 3, createdMs: 100, epoch: 2 },
    ]
    expect(text(newestComplete([versions, versions]))).toBe("b3")
  })

  test("on one timeline the number decides, whatever the clock said", () => {
    const back = [
      { timeline: "a", version: 1, createdMs: 2000 },
      { timeline: "a", version: 2, createdMs: 1000 },
    ]
    expect(text(newestComplete([back]))).toBe("a2")
  })

  test("a version was created when its last partition sealed it", () => {
    const at = (createdMs: number) => [{ timeline: "a", version: 1, createdMs }]
    expect(newestComplete([at(5), at(9), at(7)])?.createdMs).toBe(9)
  })
})

test("an open line runs through all versions that may follow on the timeline, and through those before it as they are", () => {
  const line = [
    { timeline: "a", version: 2 },
    { timeline: "b", version: 5 },
  ]
  const onB = openLine(line, "b")
  expect(isOnLine({ timeline: "b", version: 6 }, onB)).toBe(true)
  expect(isOnLine({ timeline: "a", version: 3 }, onB)).toBe(false)
  const onC = openLine(line, "c")
  expect(isOnLine({ timeline: "c", version: 6 }, onC)).toBe(true)
  expect(isOnLine({ timeline: "b", version: 6 }, onC)).toBe(false)
})
