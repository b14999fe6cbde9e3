// Retention: what goes and what stays, by a drawing of a store's versions, and what holds whatever the versions are.
//
// A drawing lists versions, oldest first, an hour apart, the last one now: `4`: every partition has it on the current
// line; `5.0`: only partition 0 has it; `4b`: it lies on another timeline; `3!nightly`: pinned, `3!`: without a name.

import { deepStrictEqual, match, ok, strictEqual } from "node:assert"
import type { VersionName, VersionSummary } from "@varve/engines"
import fc from "fast-check"
import { describe, test } from "vitest"
import { decideRetention, type RetentionInput, type RetentionRules } from "./retention.ts"
import { groupVersions, isComplete, isOnCurrentLine, type PartitionVersions } from "./store-versions.ts"

const HOUR = 3_600_000
const NOW = 1_767_225_600_000
const PARTITIONS = 2
const CURRENT = "0a"
const OTHER = "0b"
const WORD = /^(\d+)(b?)(?:\.(\d))?(?:!(.*))?$/
const SEED = 20_260_301

interface Extra {
  readonly standing?: readonly VersionName[]
  readonly pending?: readonly number[]
  readonly damaged?: readonly VersionName[]
}

function draw(drawing: string, extra: Extra = {}): RetentionInput {
  const words = drawing.split(" ").filter((word) => word !== "")
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
    partition,
    line: [{ timeline: CURRENT, version: Number.MAX_SAFE_INTEGER }],
    versions: words.flatMap((word, at) => summaryOf(word, NOW - (words.length - 1 - at) * HOUR, partition)),
  })) satisfies PartitionVersions[]
  return {
    versions: groupVersions(partitions),
    partitions,
    standing: extra.standing ?? [],
    pending: new Set(extra.pending),
    damaged: extra.damaged ?? [],
    nowMs: NOW,
  }
}

function summaryOf(word: string, createdMs: number, partition: number): VersionSummary[] {
  const [, version, other, only, pin] = WORD.exec(word)!
  if (only !== undefined && Number(only) !== partition) return []
  const timeline = other === "b" ? OTHER : CURRENT
  return [
    {
      version: Number(version),
      timeline,
      epoch: 1,
      parent: null,
      line: [{ timeline, version: Number(version) }],
      createdMs,
      engine: "memory",
      partitionCount: PARTITIONS,
      recordCount: 0,
      bytes: 0,
      bytesNew: 0,
      metadata: new Uint8Array(0),
      pinned: pin !== undefined,
      pinNames: pin === undefined || pin === "" ? [] : [pin],
    },
  ]
}

const rulesOf = (rules: Partial<RetentionRules>): RetentionRules => ({ keepLast: 0, keepForMs: 0, ...rules })

/** What stays, as the drawing names it, but for pins and partitions. */
function kept(drawing: string, rules: Partial<RetentionRules>, extra?: Extra): string {
  return decideRetention(rulesOf(rules), draw(drawing, extra))
    .filter(({ isKept }) => isKept)
    .map(({ version }) => `${version.version}${version.timeline === OTHER ? "b" : ""}`)
    .join(" ")
}

const at = (version: number, timeline = CURRENT): VersionName => ({ timeline, version })

describe("retention", () => {
  test.each<[string, string, Partial<RetentionRules>, string, Extra?]>([
    ["without a rule nothing goes", "1 2 3.0 4b", {}, "1 2 3 4b"],
    ["the newest two", "1 2 3 4", { keepLast: 2 }, "3 4"],
    ["what is younger than three hours", "1 2 3 4 5", { keepForMs: 3 * HOUR }, "3 4 5"],
    ["either rule keeps", "1 2 3 4 5", { keepForMs: 2 * HOUR, keepLast: 3 }, "3 4 5"],
    ["the newest complete one, however old", "1 2 3.0 4.1", { keepForMs: HOUR }, "2 3 4"],
    ["incomplete ones do not count", "1 2 3.0 4 5.1", { keepLast: 2 }, "2 3 4 5"],
    ["incomplete ones go with what is around them", "1 2.0 3 4", { keepLast: 1 }, "4"],
    ["pins, with a name and without", "1!nightly 2! 3 4", { keepLast: 1 }, "1 2 4"],
    ["a pin of long ago keeps nothing else", "1! 2.0 3b 4 5", { keepLast: 1 }, "1 5"],
    ["where partitions stand", "1 2 3 4", { keepLast: 1 }, "2 4", { standing: [at(2)] }],
    ["nothing newer is lost", "1 2 3.0 3b 4 5", { keepLast: 1 }, "2 3 3b 5", { standing: [at(2)] }],
    ["what is being written", "1 2 3.0 4", { keepLast: 1 }, "3 4", { pending: [3] }],
    ["what is damaged waits for a person", "1 2 3.0 4", { keepLast: 1 }, "3 4", { damaged: [at(3)] }],
    ["other timelines: by time alone", "1 2 3b 4b 5 6b", { keepLast: 2 }, "2 3b 4b 5 6b"],
    ["other timelines: older than what is kept", "1 2 3b 4b 5 6", { keepLast: 2 }, "5 6"],
    ["other timelines: what is younger", "1 3b 4b 5 6", { keepForMs: 4 * HOUR, keepLast: 1 }, "3b 4b 5 6"],
    ["nothing complete yet: nothing goes", "1.0 2.1 3b", { keepLast: 1 }, "1 2 3b"],
  ])("%s", (_, drawing, rules, expected, extra) => {
    strictEqual(kept(drawing, rules, extra), expected)
  })

  test("one version to keep is no plural", () => {
    const [first] = decideRetention(rulesOf({ keepLast: 1 }), draw("1 2 3", {}))
    strictEqual(first!.reason, "older than the newest complete version")
  })

  test("each decision says why", () => {
    const extra = { standing: [at(7)], damaged: [at(2)] }
    const input = draw("1 2 3!a 3b 4.0 5 6 7 8.1", extra)
    const reasons = decideRetention(rulesOf({ keepLast: 2, keepForMs: 3 * HOUR }), input)
    deepStrictEqual(
      reasons.map(({ version, isKept, reason }) => [version.version, isKept, reason]),
      [
        [1, false, "older than the newest 2 complete versions and older than 3h"],
        [2, true, "a part of it is damaged: look at it, then delete it"],
        [3, true, "pinned as a"],
        [3, false, "on another timeline, older than version 6, the oldest one kept"],
        [4, false, "incomplete, older than version 6, the oldest one kept"],
        [5, false, "older than the newest 2 complete versions and older than 3h"],
        [6, true, "one of the newest 2 complete versions"],
        [7, true, "a partition stands on it"],
        [8, true, "younger than 3h"],
      ],
    )
    match(decideRetention(rulesOf({}), input)[0]!.reason, /no rule/)
  })

  test("two names of one version, when partitions are on lines of their own, count once", () => {
    const input = draw("1 2 3")
    const [first, second] = input.partitions as [PartitionVersions, PartitionVersions]
    const moved = second.versions.map((each) => (each.version === 3 ? { ...each, timeline: OTHER } : each))
    const line = [at(2), at(Number.MAX_SAFE_INTEGER, OTHER)]
    const partitions = [first, { ...second, versions: moved, line }]
    const decisions = decideRetention(rulesOf({ keepLast: 1 }), {
      ...input,
      partitions,
      versions: groupVersions(partitions),
    })
    deepStrictEqual(
      decisions.map(({ version, isKept }) => [version.version, version.timeline, isKept]),
      [
        [1, CURRENT, false],
        [2, CURRENT, false],
        [3, CURRENT, true],
        [3, OTHER, true],
      ],
    )
  })

  const anyWord = fc
    .record({
      gap: fc.integer({ min: 1, max: 3 }),
      other: fc.boolean(),
      only: fc.constantFrom("", "", ".0", ".1"),
      pin: fc.constantFrom("", "", "", "!", "!x"),
    })
    .map(({ gap, other, only, pin }) => ({ gap, suffix: `${other ? "b" : ""}${only}${pin}` }))
  const anyDrawing = fc.array(anyWord, { maxLength: 12 }).map((words) => {
    let version = 0
    const named = words.map(({ gap, suffix }) => {
      version += gap
      return `${version}${suffix}`
    })
    return named.join(" ")
  })
  const anyRules = fc.record({
    keepLast: fc.integer({ min: 0, max: 4 }),
    keepForMs: fc.integer({ min: 0, max: 6 }).map((hours) => hours * HOUR),
  })

  test("whatever the versions: what has to stay stays, and more rules never keep less", () => {
    let gone = 0
    fc.assert(
      fc.property(anyDrawing, anyRules, fc.nat(20), fc.nat(20), (drawing, rules, standing, pending) => {
        const input = draw(drawing, { standing: [at(standing)], pending: [pending] })
        const decisions = decideRetention(rules, input)
        strictEqual(decisions.length, input.versions.length)
        const isKept = new Map(decisions.map((each) => [each.version, each.isKept]))
        const current = input.versions.filter((each) => isOnCurrentLine(each, input.partitions))
        const complete = current.filter((each) => isComplete(each, input.partitions))
        for (const each of complete.slice(-Math.max(1, rules.keepLast))) ok(isKept.get(each))
        for (const { version, isKept: stays } of decisions) {
          if (version.parts.some(({ summary }) => summary.pinned)) ok(stays)
          if (version.version === standing && version.timeline === CURRENT) ok(stays)
          if (version.version === pending || NOW - version.createdMs < rules.keepForMs) ok(stays)
          if (!stays) gone++
        }
        // Asked again, with what is left, nothing more goes.
        const left = input.versions.filter((each) => isKept.get(each))
        ok(decideRetention(rules, { ...input, versions: left }).every((each) => each.isKept))
        const more = { keepLast: rules.keepLast + 1, keepForMs: rules.keepForMs + HOUR }
        for (const each of decideRetention(more, input)) {
          if (isKept.get(each.version) && rules.keepLast + rules.keepForMs > 0) ok(each.isKept)
        }
      }),
      { seed: SEED, numRuns: 1000 },
    )
    ok(gone > 500)
  })
})
