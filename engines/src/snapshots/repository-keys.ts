// Where things lie in a repository.
//
//   repository.json                                                   format, chunking parameters, identity
//   packs/<kind>/<id>.pack                                            id: 32 hex digits, time first
//   stores/<store>/<partition>/<timeline>/<version>.manifest          version: 16 digits, zero-padded
//   stores/<store>/<partition>/<timeline>/<version>.pin               the version is pinned
//
// Numbers of versions are padded and both timelines and packs are named by their time first, so that a sorted
// listing has each timeline's versions in order and the packs by age. Names come from outside: they are checked
// before they become a part of a key.

import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { Random } from "../io/random.ts"
import type { VersionName } from "./manifest.ts"

export const REPOSITORY_KEY = "repository.json"
export const STORES_PREFIX = "stores/"
export const PACKS_PREFIX = "packs/"
/** As many partitions as a store can have: one for each slot. */
export const PARTITION_COUNT_MAX = 16_384

const VERSION_DIGITS = 16
const STORE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const TIMELINE = /^[0-9a-z-]{1,40}$/
const VERSION_KEY = /^stores\/([^/]+)\/(\d{1,5})\/([^/]+)\/(\d{16})\.(manifest|pin)$/
const PACK_KEY = /^packs\/([a-z]+)\/([0-9a-f]{32})\.pack$/

/** A manifest's or pin's key, taken apart. */
export interface VersionKey extends VersionName {
  readonly store: string
  readonly partition: number
  readonly what: "manifest" | "pin"
}

/** @throws EngineError `STORE_NAME_INVALID` */
export function checkStoreName(store: string): void {
  if (STORE_NAME.test(store)) return
  throw new EngineError(
    "STORE_NAME_INVALID",
    `"${store.slice(0, 80)}" is no name for a store: 1 to 63 of a-z, 0-9 and "-", no "-" first`,
  )
}

/** True for names that a timeline can have. */
export function isTimelineName(timeline: string): boolean {
  return TIMELINE.test(timeline)
}

/** True for 1 to 2^53 - 1. */
export function isVersionNumber(version: number): boolean {
  return Number.isSafeInteger(version) && version >= 1
}

/** @throws EngineError `VERSION_INVALID` */
export function checkVersionName({ timeline, version }: VersionName): void {
  if (!isVersionNumber(version)) {
    throw new EngineError("VERSION_INVALID", `${version} is no version: 1 to ${Number.MAX_SAFE_INTEGER}`)
  }
  if (!isTimelineName(timeline)) {
    throw new EngineError(
      "VERSION_INVALID",
      `"${timeline.slice(0, 80)}" is no timeline: 1 to 40 of a-z, 0-9 and "-"`,
    )
  }
}

/** What the keys of all versions of a partition start with. @throws EngineError `STORE_NAME_INVALID` */
export function partitionPrefix(store: string, partition: number): string {
  checkStoreName(store)
  assert(
    Number.isInteger(partition) && partition >= 0 && partition < PARTITION_COUNT_MAX,
    "partition in bounds",
  )
  return `${STORES_PREFIX}${store}/${partition}/`
}

/** @throws EngineError `STORE_NAME_INVALID`, `VERSION_INVALID` */
export function manifestKey(store: string, partition: number, name: VersionName): string {
  return `${versionPrefix(store, partition, name)}.manifest`
}

/** @throws EngineError `STORE_NAME_INVALID`, `VERSION_INVALID` */
export function pinKey(store: string, partition: number, name: VersionName): string {
  return `${versionPrefix(store, partition, name)}.pin`
}

/** The parts of a key that `manifestKey` or `pinKey` made; undefined for any other. */
export function parseVersionKey(key: string): VersionKey | undefined {
  const match = VERSION_KEY.exec(key)
  if (match === null) return undefined
  const [, store, partition, timeline, version, what] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  if (!STORE_NAME.test(store) || !isTimelineName(timeline) || !isVersionNumber(Number(version)))
    return undefined
  if (Number(partition) >= PARTITION_COUNT_MAX || String(Number(partition)) !== partition) return undefined
  return {
    store,
    partition: Number(partition),
    timeline,
    version: Number(version),
    what: what === "pin" ? "pin" : "manifest",
  }
}

/** A new pack's id: 48 bits of time, 80 random bits; 32 hex digits. */
export function newPackId(clock: Clock, random: Random): string {
  const time = Math.max(0, Math.floor(clock.nowMs())).toString(16).padStart(12, "0").slice(-12)
  return time + Buffer.from(random.bytes(10)).toString("hex")
}

/**
 * The key of a pack. Packs of engine runs are filed under `records` as a whole, index and recipes included: one
 * object a snapshot, not three. Each entry of a pack says its own kind.
 */
export function packKey(id: string): string {
  return `${PACKS_PREFIX}records/${id}.pack`
}

/** The id of the pack under `key`; undefined when it is none of `packKey`. */
export function parsePackKey(key: string): string | undefined {
  const match = PACK_KEY.exec(key)
  return match?.[1] === "records" ? match[2] : undefined
}

function versionPrefix(store: string, partition: number, name: VersionName): string {
  checkVersionName(name)
  const version = String(name.version).padStart(VERSION_DIGITS, "0")
  return `${partitionPrefix(store, partition)}${name.timeline}/${version}`
}
