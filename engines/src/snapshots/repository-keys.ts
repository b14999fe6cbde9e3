// Where things lie in a repository.
//
//   repository.json                                                   format, chunking parameters, identity
//   packs/<folder>/<id>.pack                                          id: 32 hex digits, time first
//   condemned/<id>                                                    the pack is going to be removed
//   condemned/<id>.moved                                              so is the note of a pack that is gone
//   moved/<id>                                                        where the chunks of a rewritten pack are
//   stores/<store>/<partition>/<timeline>/<version>-<epoch>.manifest  both 16 digits, zero-padded
//   stores/<store>/<partition>/<timeline>/<version>.manifest          the same of epoch 0: written without an owner
//   stores/<store>/<partition>/<timeline>/<version>.pin               the version is pinned
//   stores/<store>/<partition>/<timeline>/<version>.<name>.pin        the version is pinned under a name
//   stores/<store>/<partition>/owner/<epoch>.claim                    who owns the partition
//   stores/<store>/<partition>/owner/<epoch>.inheritance              what that owner took over
//   images/<name>/<id>.image                                          a function image; id as of packs
//
// A manifest's key names the epoch of its writer, so that two owners never write, or remove, the same object.
//
// Numbers of versions are padded and both timelines and packs are named by their time first, so that a sorted
// listing has each timeline's versions in order and the packs by age. Names come from outside: they are checked
// before they become a part of a key.

import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { Random } from "../io/random.ts"
import type { VersionName } from "./manifest.ts"
import { type PackFolder, packFolders } from "./region-kind.ts"

export const REPOSITORY_KEY = "repository.json"
export const STORES_PREFIX = "stores/"
export const PACKS_PREFIX = "packs/"
export const CONDEMNED_PREFIX = "condemned/"
export const MOVED_PREFIX = "moved/"
export const IMAGES_PREFIX = "images/"
const NOTE_SUFFIX = ".moved"
/** As many partitions as a store can have: one for each slot. */
export const PARTITION_COUNT_MAX = 16_384

/** Of versions and epochs. */
const NUMBER_DIGITS = 16
const STORE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const TIMELINE = /^[0-9a-z-]{1,40}$/
/** No timeline has this name. */
const OWNER_FOLDER = "owner"
const VERSION_KEY =
  /^stores\/([^/]+)\/(\d{1,5})\/([^/]+)\/(\d{16})(?:-(\d{16}))?\.(?:manifest|(?:([^/]+)\.)?(pin))$/
const PIN_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/
const OWNER_KEY = /^stores\/([^/]+)\/(\d{1,5})\/owner\/(\d{16})\.(claim|inheritance)$/
const PACK_ID = /^[0-9a-f]{32}$/
const PACK_KEY = /^packs\/([a-z]+)\/([0-9a-f]{32})\.pack$/
const IMAGE_KEY = /^images\/([^/]+)\/([0-9a-f]{32})\.image$/

/** A version by the object that holds it: `epoch` is its writer's, 0 when it was written without an owner. */
export interface WrittenVersion extends VersionName {
  readonly epoch: number
}

/** A manifest's or pin's key, taken apart. A pin holds a name, whoever wrote the version. */
export type VersionKey = { readonly store: string; readonly partition: number } & (
  | ({ readonly what: "manifest" } & WrittenVersion)
  /** `name` is empty for a pin without one. */
  | ({ readonly what: "pin"; readonly name: string } & VersionName)
)

/** The key of a claim or of an inheritance, taken apart. */
export interface OwnerKey {
  readonly epoch: number
  readonly what: "claim" | "inheritance"
}

/** An image: whose it is, and which one. */
export interface ImageName {
  /** 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first. */
  readonly name: string
  /** 32 hex digits. */
  readonly id: string
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
  return TIMELINE.test(timeline) && timeline !== OWNER_FOLDER
}

/** True for numbers of versions and epochs: 1 to 2^53 - 1. */
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
export function manifestKey(store: string, partition: number, version: WrittenVersion): string {
  const epoch = version.epoch === 0 ? "" : `-${digits(version.epoch)}`
  return `${versionPrefix(store, partition, version)}${epoch}.manifest`
}

/** @throws EngineError `STORE_NAME_INVALID`, `VERSION_INVALID`, `SETTING_INVALID` */
export function pinKey(store: string, partition: number, version: VersionName, name = ""): string {
  checkPinName(name)
  return `${versionPrefix(store, partition, version)}${name === "" ? "" : `.${name}`}.pin`
}

/** @throws EngineError `SETTING_INVALID` unless it is empty or a name that a pin can have */
export function checkPinName(name: string): void {
  if (name === "" || PIN_NAME.test(name)) return
  throw new EngineError(
    "SETTING_INVALID",
    `"${name.slice(0, 80)}" is no name for a pin: 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first`,
  )
}

/** The parts of a key that `manifestKey` or `pinKey` made; undefined for any other. */
export function parseVersionKey(key: string): VersionKey | undefined {
  const match = VERSION_KEY.exec(key)
  if (match === null) return undefined
  const [, store, partition, timeline, version, epoch, pinName, pin] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    ...(string | undefined)[],
  ]
  if (!isPartition(store, partition)) return undefined
  if (!isTimelineName(timeline) || !isVersionNumber(Number(version))) return undefined
  const parsed = { store, partition: Number(partition), timeline, version: Number(version) }
  if (pin !== undefined) {
    const name = pinName ?? ""
    const isPin = epoch === undefined && (pinName === undefined || PIN_NAME.test(name))
    return isPin ? { ...parsed, what: "pin", name } : undefined
  }
  if (epoch === undefined) return { ...parsed, what: "manifest", epoch: 0 }
  return isVersionNumber(Number(epoch)) ? { ...parsed, what: "manifest", epoch: Number(epoch) } : undefined
}

/** What the keys of a partition's claims and inheritances start with. @throws EngineError `STORE_NAME_INVALID` */
export function ownerPrefix(store: string, partition: number): string {
  return `${partitionPrefix(store, partition)}${OWNER_FOLDER}/`
}

/** @throws EngineError `STORE_NAME_INVALID` */
export function ownerKey(store: string, partition: number, { epoch, what }: OwnerKey): string {
  assert(isVersionNumber(epoch), "epochs of owners are 1 to 2^53 - 1")
  return `${ownerPrefix(store, partition)}${digits(epoch)}.${what}`
}

/** The parts of a key that `ownerKey` made; undefined for any other. */
export function parseOwnerKey(key: string): OwnerKey | undefined {
  const match = OWNER_KEY.exec(key)
  if (match === null) return undefined
  const [, store, partition, epoch, what] = match as unknown as [string, string, string, string, string]
  if (!isPartition(store, partition) || !isVersionNumber(Number(epoch))) return undefined
  return { epoch: Number(epoch), what: what === "claim" ? "claim" : "inheritance" }
}

/** A new pack's id: 48 bits of time, 80 random bits; 32 hex digits. */
export function newPackId(clock: Clock, random: Random): string {
  const time = Math.max(0, Math.floor(clock.nowMs())).toString(16).padStart(12, "0").slice(-12)
  return time + Buffer.from(random.bytes(10)).toString("hex")
}

/**
 * The key of a pack. Packs of engine runs are filed under `records` as a whole, index and recipes included: one
 * object a snapshot, not three. Each entry of a pack says its own kind. No two packs have one id, whatever their folders.
 */
export function packKey(id: string, folder: PackFolder = "records"): string {
  return `${PACKS_PREFIX}${folder}/${id}.pack`
}

/** The id of the pack under `key`; undefined when it is none of `packKey`. */
export function parsePackKey(key: string): string | undefined {
  return parsePackFolder(key) === undefined ? undefined : PACK_KEY.exec(key)?.[2]
}

/** The folder of the pack under `key`; undefined when it is none of `packKey`. */
export function parsePackFolder(key: string): PackFolder | undefined {
  const folder = PACK_KEY.exec(key)?.[1]
  return packFolders.find((each) => each === folder)
}

/** The key of an image. @throws EngineError `SETTING_INVALID` */
export function imageKey({ name, id }: ImageName): string {
  if (!PACK_ID.test(id)) {
    throw new EngineError("SETTING_INVALID", `"${id.slice(0, 80)}" is no image: 32 hex digits`)
  }
  return `${imagePrefix(name)}${id}.image`
}

/** What the keys of all images of a name start with. @throws EngineError `SETTING_INVALID` */
export function imagePrefix(name: string): string {
  if (!PIN_NAME.test(name)) {
    throw new EngineError(
      "SETTING_INVALID",
      `"${name.slice(0, 80)}" is no name for an image: 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first`,
    )
  }
  return `${IMAGES_PREFIX}${name}/`
}

/** The parts of a key that `imageKey` made; undefined for any other. */
export function parseImageKey(key: string): ImageName | undefined {
  const [, name, id] = IMAGE_KEY.exec(key) ?? []
  return name === undefined || id === undefined || !PIN_NAME.test(name) ? undefined : { name, id }
}

/** The key of the mark that condemns a pack. */
export function condemnedKey(id: string): string {
  return CONDEMNED_PREFIX + id
}

/** The id of the pack that the mark under `key` condemns; undefined when it is none. */
export function parseCondemnedKey(key: string): string | undefined {
  return packIdBehind(CONDEMNED_PREFIX, key)
}

/** The key of the mark that condemns the note of a pack. */
export function condemnedNoteKey(id: string): string {
  return condemnedKey(id) + NOTE_SUFFIX
}

/** The id of the pack whose note the mark under `key` condemns; undefined when it is none. */
export function parseCondemnedNoteKey(key: string): string | undefined {
  return key.endsWith(NOTE_SUFFIX) ? parseCondemnedKey(key.slice(0, -NOTE_SUFFIX.length)) : undefined
}

/** The key of the note that says where the chunks of a pack are. */
export function movedKey(id: string): string {
  return MOVED_PREFIX + id
}

/** The id of the pack that the note under `key` is of; undefined when it is none. */
export function parseMovedKey(key: string): string | undefined {
  return packIdBehind(MOVED_PREFIX, key)
}

function packIdBehind(prefix: string, key: string): string | undefined {
  const id = key.slice(prefix.length)
  return key.startsWith(prefix) && PACK_ID.test(id) ? id : undefined
}

function versionPrefix(store: string, partition: number, name: VersionName): string {
  checkVersionName(name)
  return `${partitionPrefix(store, partition)}${name.timeline}/${digits(name.version)}`
}

function isPartition(store: string, partition: string): boolean {
  const number = Number(partition)
  return STORE_NAME.test(store) && number < PARTITION_COUNT_MAX && String(number) === partition
}

function digits(number: number): string {
  return String(number).padStart(NUMBER_DIGITS, "0")
}
