// What an owner inherits decides which versions count: the rule against the plain set of names, and the bytes.

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isEngineError } from "../base/error.ts"
import { encodeSealedJson } from "../base/sealed-json.ts"
import {
  countingVersions,
  decodeInheritance,
  encodeInheritance,
  type Inheritance,
  inherits,
  makeInheritance,
} from "./inheritance.ts"
import { ownerKey } from "./repository-keys.ts"

const key = ownerKey("default", 0, { epoch: 9, what: "inheritance" })
const version = fc.record({
  timeline: fc.constantFrom("a", "b", "c-d"),
  epoch: fc.integer({ min: 0, max: 8 }),
  version: fc.integer({ min: 1, max: 30 }),
})
const versions = fc.uniqueArray(version, {
  selector: (each) => `${each.timeline}/${each.epoch}/${each.version}`,
  maxLength: 120,
})

function reasonOf(source: Uint8Array, under = key): string {
  try {
    decodeInheritance(source, under)
    return "none"
  } catch (error) {
    if (!isEngineError(error)) throw error
    expect(error.message).toContain(under)
    return error.reason
  }
}

describe("inheritance", () => {
  test("names exactly what was found, and nothing that comes later counts below its epoch", () => {
    fc.assert(
      fc.property(versions, versions, (found, later) => {
        const name = ({ timeline, epoch, version }: (typeof found)[number]): string =>
          `${timeline}/${epoch}/${version}`
        const names = new Set(found.map(name))
        const inheritance = decodeInheritance(encodeInheritance(makeInheritance(9, 1000, found)), key)
        expect(countingVersions(found, inheritance)).toEqual(found)
        expect(countingVersions(later, inheritance)).toEqual(later.filter((each) => names.has(name(each))))
        const raised = later.map((each) => ({ ...each, epoch: each.epoch + 9 }))
        expect(countingVersions(raised, inheritance)).toEqual(raised)
        for (const each of later) {
          const isKnown = found.some(
            (other) => other.timeline === each.timeline && other.version === each.version,
          )
          expect(inherits(inheritance, each)).toBe(isKnown)
        }
      }),
    )
  })

  test("without one everything counts", () => {
    const all = [{ timeline: "a", version: 1, epoch: 0 }]
    expect(countingVersions(all, undefined)).toEqual(all)
  })

  test("bytes are pinned; numbers that follow one another are a pair", () => {
    const found = [5, 1, 2, 3, 9].map((version) => ({ timeline: "t", epoch: 4, version }))
    const text = Buffer.from(encodeInheritance(makeInheritance(9, 1000, found))).toString()
    expect(text.split("\n")[0]).toBe(
      `{"format":1,"epoch":9,"createdMs":1000,"versions":[{"timeline":"t","epoch":4,"ranges":[[1,3],[5,5],[9,9]]}]}`,
    )
    expect(text.length).toBe(174)
  })

  const group = { timeline: "t", epoch: 4, ranges: [[1, 3]] }
  const good = { format: 1, epoch: 9, createdMs: 1000, versions: [group] }
  test.each<[string, object]>([
    ["epoch of another key", { epoch: 10 }],
    ["versions of its own epoch", { versions: [{ ...group, epoch: 9 }] }],
    ["no ranges", { versions: [{ ...group, ranges: [] }] }],
    ["a range backwards", { versions: [{ ...group, ranges: [[3, 1]] }] }],
    ["ranges that touch", { versions: [{ ...group, ranges: [[1, 3], [4, 5]] }] }], // biome-ignore format: a row
    ["a version zero", { versions: [{ ...group, ranges: [[0, 3]] }] }],
    ["a group twice", { versions: [group, group] }],
    ["groups out of order", { versions: [group, { ...group, epoch: 3 }] }],
    ["a timeline that is none", { versions: [{ ...group, timeline: "../x" }] }],
    ["a field too many", { more: 1 }],
  ])("a wrong field under a right hash is damage: %s", (_, change) => {
    expect(reasonOf(encodeSealedJson(good))).toBe("none")
    expect(reasonOf(encodeSealedJson({ ...good, ...change }))).toBe("DATA_LOSS")
  })

  test("every single-byte change and every truncation is damage, a newer format is not", () => {
    const source = Buffer.from(encodeInheritance(good as unknown as Inheritance))
    for (let at = 0; at < source.length; at++) {
      const changed = Buffer.from(source)
      changed[at]! ^= 0x20
      expect(reasonOf(changed), `byte ${at}`).toBe("DATA_LOSS")
      expect(reasonOf(source.subarray(0, at)), `first ${at} bytes`).toBe("DATA_LOSS")
    }
    expect(reasonOf(encodeSealedJson({ format: 2 }))).toBe("FORMAT_NEWER")
  })

  test("one of more than 16 MiB is refused, and damage where there is one", () => {
    const apart = Array.from({ length: 1_000_000 }, (_, i) => ({
      timeline: "t",
      epoch: 4,
      version: 1_000_000_000 + i * 2,
    }))
    expect(() => encodeInheritance(makeInheritance(9, 1000, apart))).toThrow(/at most 16777216/)
    expect(reasonOf(new Uint8Array(16 * 1024 * 1024 + 1))).toBe("DATA_LOSS")
  })
})
