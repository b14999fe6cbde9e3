// The inheritance: which versions of earlier epochs an owner found when it took the partition over. They count for
// ever; no other version of an earlier epoch ever does. So what an owner commits that does not know yet that it has
// lost its partition is nothing.
//
//   object := sealed JSON (base/sealed-json.ts)
//   key    := stores/<store>/<partition>/owner/<epoch>.inheritance
//
// It names every version that counted, not only those since the one before it: so the highest one alone says all, and
// those below it can go. Numbers of one timeline and epoch that follow one another take two numbers together.

import { z } from "zod"
import { EngineError } from "../base/error.ts"
import { decodeSealedJson, encodeSealedJson } from "../base/sealed-json.ts"
import type { VersionName } from "./manifest.ts"
import { isTimelineName, parseOwnerKey, type WrittenVersion } from "./repository-keys.ts"
import { damaged } from "./stored-bytes.ts"

const INHERITANCE_FORMAT = 1
/** Room for some 400,000 versions none of which follows another. */
export const INHERITANCE_BYTES_MAX = 16 * 1024 * 1024

/** Versions that one owner wrote on one timeline. */
export interface InheritedVersions {
  readonly timeline: string
  readonly epoch: number
  /** Every number from the first to the last of each pair, both included; ascending, at least one apart. */
  readonly ranges: readonly (readonly [number, number])[]
}

export interface Inheritance {
  readonly format: typeof INHERITANCE_FORMAT
  /** The owner's that made it. */
  readonly epoch: number
  readonly createdMs: number
  /** Sorted by timeline and epoch; every epoch is below the owner's. */
  readonly versions: readonly InheritedVersions[]
}

const number = z.int().min(1)
const inheritanceSchema = z
  .strictObject({
    format: z.literal(INHERITANCE_FORMAT),
    epoch: number,
    createdMs: z.number(),
    versions: z.array(
      z.strictObject({
        timeline: z.string().refine(isTimelineName),
        epoch: z.int().min(0),
        ranges: z
          .array(z.tuple([number, number]))
          .min(1)
          .refine(areApart, "ranges out of order"),
      }),
    ),
  })
  .refine(({ epoch, versions }) => versions.every((each) => each.epoch < epoch), "versions of later epochs")
  .refine(
    ({ versions }) => versions.every((each, i) => i === 0 || compareGroups(versions[i - 1]!, each) < 0),
    "versions out of order",
  )

/**
 * Those of `versions` that count, in their order: written under the epoch of the inheritance or a later one, or named
 * by it. Without an inheritance all do.
 * @param inheritance the one of the highest epoch that the partition has
 */
export function countingVersions<Version extends WrittenVersion>(
  versions: readonly Version[],
  inheritance: Inheritance | undefined,
): Version[] {
  if (inheritance === undefined) return [...versions]
  const groups = new Map(inheritance.versions.map((each) => [groupName(each), each.ranges]))
  return versions.filter(
    (version) =>
      version.epoch >= inheritance.epoch || isWithin(version.version, groups.get(groupName(version)) ?? []),
  )
}

/** True when the inheritance names a version of this number on this timeline, whoever wrote it. */
export function inherits({ versions }: Inheritance, { timeline, version }: VersionName): boolean {
  return versions.some((each) => each.timeline === timeline && isWithin(version, each.ranges))
}

/** What the owner of `epoch` inherits when `counting` are the versions that it found. */
export function makeInheritance(
  epoch: number,
  createdMs: number,
  counting: readonly WrittenVersion[],
): Inheritance {
  const groups = new Map<string, { timeline: string; epoch: number; ranges: [number, number][] }>()
  for (const version of [...counting].sort((a, b) => a.version - b.version)) {
    const name = groupName(version)
    const group = groups.get(name) ?? { timeline: version.timeline, epoch: version.epoch, ranges: [] }
    groups.set(name, group)
    const last = group.ranges.at(-1)
    if (last !== undefined && last[1] === version.version - 1) last[1] = version.version
    else group.ranges.push([version.version, version.version])
  }
  return { format: INHERITANCE_FORMAT, epoch, createdMs, versions: [...groups.values()].sort(compareGroups) }
}

/** The object of `inheritance`. @throws EngineError `REPOSITORY_FAILED` when it names too many versions */
export function encodeInheritance(inheritance: Inheritance): Uint8Array {
  const encoded = encodeSealedJson(inheritance)
  if (encoded.length <= INHERITANCE_BYTES_MAX) return encoded
  throw new EngineError(
    "REPOSITORY_FAILED",
    `the names of the partition's versions take ${encoded.length} bytes; at most ${INHERITANCE_BYTES_MAX} are allowed: ` +
      `delete versions`,
  )
}

/** The inheritance in `source`, which must be the one of `key`. @throws EngineError `DATA_LOSS`, `FORMAT_NEWER` */
export function decodeInheritance(source: Uint8Array, key: string): Inheritance {
  if (source.length > INHERITANCE_BYTES_MAX) throw damaged(key, `it has ${source.length} bytes`)
  const inheritance = decodeSealedJson(source, {
    name: key,
    format: INHERITANCE_FORMAT,
    schema: inheritanceSchema,
  })
  if (parseOwnerKey(key)?.epoch !== inheritance.epoch)
    throw damaged(key, `it is of epoch ${inheritance.epoch}`)
  return inheritance
}

/** Whether a range has `version`; halves the ranges until one is left. */
function isWithin(version: number, ranges: InheritedVersions["ranges"]): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const [first, last] = ranges[middle]!
    if (version < first) high = middle
    else if (version > last) low = middle + 1
    else return true
  }
  return false
}

function groupName({ timeline, epoch }: { readonly timeline: string; readonly epoch: number }): string {
  return `${timeline}/${epoch}`
}

function compareGroups(
  a: { readonly timeline: string; readonly epoch: number },
  b: { readonly timeline: string; readonly epoch: number },
): number {
  if (a.timeline === b.timeline) return a.epoch - b.epoch
  return a.timeline < b.timeline ? -1 : 1
}

function areApart(ranges: readonly (readonly [number, number])[]): boolean {
  return ranges.every(([first, last], i) => first <= last && (i === 0 || first > ranges[i - 1]![1] + 1))
}
