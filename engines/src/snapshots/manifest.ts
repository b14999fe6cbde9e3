// The manifest: the root object of a version. A version exists exactly when its manifest does.
//
//   object := sealed JSON (base/sealed-json.ts)
//   key    := stores/<store>/<partition>/<timeline>/<version>-<epoch>.manifest
//
// Format 1 knew no owners: it has no epoch, counts as epoch 0, and its key has none either. Format 3 has sessions; a
// manifest without any is written in format 2.
//
// JSON, because at three in the morning somebody reads it with `head -1`; a hash, because a cut or damaged one
// must never be half believed. Its size follows the number of runs, never the number of records.

import { z } from "zod"
import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import { decodeSealedJson, encodeSealedJson } from "../base/sealed-json.ts"
import { compareNewestFirst, type RunFigures } from "../runs/run.ts"
import { checkStoreName, isTimelineName, PARTITION_COUNT_MAX, parseVersionKey } from "./repository-keys.ts"
import { type SavedSessions, savedSessions } from "./saved-sessions.ts"
import { damaged } from "./stored-bytes.ts"
import { isOnLine, isSameVersion } from "./timeline.ts"

const MANIFEST_FORMAT = 3
const MANIFEST_FORMAT_WITHOUT_SESSIONS = 2
/** The last one that knew no owners; still read. */
const MANIFEST_FORMAT_WITHOUT_EPOCH = 1

/** A run as the repository holds it: its figures and where its recipe lies. */
export interface StoredRun extends RunFigures {
  readonly recipe: {
    /** Id of the pack that holds the recipe. */
    readonly pack: string
    readonly offset: number
    readonly bytes: number
    /** SHA-256 of the recipe, 64 hex digits. */
    readonly hash: string
  }
}

/** Name of what the repository holds of a run: one that was stored twice relies on other packs each time. */
export function storedRunName({ id, recipe }: StoredRun): string {
  return `${id} ${recipe.pack} ${recipe.offset}`
}

/** A version by its full name within a partition. */
export interface VersionName {
  /** The timeline that it stands on. */
  readonly timeline: string
  /** Its number, 1 to 2^53 - 1. */
  readonly version: number
}

export interface Manifest {
  readonly format:
    | typeof MANIFEST_FORMAT
    | typeof MANIFEST_FORMAT_WITHOUT_SESSIONS
    | typeof MANIFEST_FORMAT_WITHOUT_EPOCH
  readonly store: string
  readonly partition: number
  readonly partitionCount: number
  readonly timeline: string
  readonly version: number
  /** The owner's that wrote it; 0: without an owner. */
  readonly epoch: number
  /** The version before this one on its line; null for the first. */
  readonly parent: VersionName | null
  /**
   * The line up to here, oldest first: each timeline that this version descends from, with the newest version
   * on it that belongs to the line. The last one is this version's own timeline and number.
   */
  readonly line: readonly VersionName[]
  /** Milliseconds since 1970 at the seal. */
  readonly createdMs: number
  readonly engine: string
  readonly hashSeed: number
  /** Newest first. */
  readonly runs: readonly StoredRun[]
  /** What belongs to the engine alone and must come back with the state; plain JSON. */
  readonly engineState: unknown
  /** Base64. */
  readonly metadata: string
  readonly recordCount: number
  readonly bytesNew: number
  readonly bytesReused: number
  /** Which frames of which sessions it holds; undefined: no session ever wrote to the state. */
  readonly sessions?: SavedSessions | undefined
}

/** A version as lists show it. */
export interface VersionSummary {
  /** Its number, 1 to 2^53 - 1. */
  readonly version: number
  /** The timeline that it stands on. */
  readonly timeline: string
  /** The owner's that wrote it; 0: without an owner. A later owner's versions have higher ones. */
  readonly epoch: number
  /** The version before it on its line; null for the first. */
  readonly parent: VersionName | null
  /** The line up to it, oldest first: each timeline with the newest version on it that belongs to the line. */
  readonly line: readonly VersionName[]
  /** When it was sealed, in milliseconds since 1970. */
  readonly createdMs: number
  /** The engine that wrote it. */
  readonly engine: string
  /** How many partitions its store had. */
  readonly partitionCount: number
  /** Keys that have a value, as `EngineStatistics` counts them. */
  readonly recordCount: number
  /** Bytes of the runs that it lists, and bytes that were stored for it. */
  readonly bytes: number
  /** Bytes that were stored for it. */
  readonly bytesNew: number
  /** What the caller stored inside it. */
  readonly metadata: Uint8Array
  /** Whether a pin protects it from removal. */
  readonly pinned: boolean
  /** Names of its pins, sorted; a pin may have none. */
  readonly pinNames: readonly string[]
}

/** Metadata of a version at most. */
export const METADATA_BYTES_MAX = 1024 * 1024
/** Metadata, and room for more than ten thousand runs and timelines. */
export const MANIFEST_BYTES_MAX = 16 * 1024 * 1024

const hexDigits = (count: number) => z.string().regex(new RegExp(`^[0-9a-f]{${count}}$`))
const count = z.int().min(0)
const positive = z.int().min(1)
const versionName = z.strictObject({ timeline: z.string().refine(isTimelineName), version: positive })
const storedRun = z
  .strictObject({
    id: hexDigits(32),
    level: count,
    run: count,
    version: count,
    bytes: positive,
    recordsBytes: count,
    recordCount: count,
    tombstoneCount: count,
    recipe: z.strictObject({ pack: hexDigits(32), offset: count, bytes: positive, hash: hexDigits(64) }),
  })
  .refine((run) => run.recordsBytes <= run.bytes, "records longer than the run")
  .refine((run) => run.tombstoneCount <= run.recordCount, "more tombstones than records")

const manifestSchema = z
  .strictObject({
    format: z.literal([MANIFEST_FORMAT_WITHOUT_EPOCH, MANIFEST_FORMAT_WITHOUT_SESSIONS, MANIFEST_FORMAT]),
    store: z.string(),
    partition: count,
    partitionCount: positive.max(PARTITION_COUNT_MAX),
    timeline: z.string().refine(isTimelineName),
    version: positive,
    epoch: count.optional(),
    parent: versionName.nullable(),
    line: z.array(versionName).min(1),
    createdMs: z.number().min(0),
    engine: z.string().min(1),
    hashSeed: z.int().min(0).max(0xffff_ffff),
    runs: z.array(storedRun),
    engineState: z.unknown(),
    metadata: z.string().refine(isMetadata, "metadata that is not base64, or too long"),
    recordCount: count,
    bytesNew: count,
    bytesReused: count,
    sessions: savedSessions.optional(),
  })
  .refine(
    ({ format, epoch }) => (epoch === undefined) === (format === MANIFEST_FORMAT_WITHOUT_EPOCH),
    "an epoch that its format does not have, or none",
  )
  .refine(
    ({ format, sessions }) => (sessions !== undefined) === (format === MANIFEST_FORMAT),
    "sessions that its format does not have, or none",
  )
  .transform((manifest) => ({ ...manifest, epoch: manifest.epoch ?? 0 }))
  .refine((manifest) => manifest.partition < manifest.partitionCount, "partition out of bounds")
  .refine((manifest) => isWholeLine(manifest.line, manifest), "line that does not end in this version")
  .refine(
    ({ parent, line, version }) => parent === null || (parent.version < version && isOnLine(parent, line)),
    "parent that is not on the line",
  )
  .refine((manifest) => areNewestFirst(manifest.runs), "runs out of order")

/** The format that a manifest is written in. */
export function manifestFormatOf({ sessions }: Pick<Manifest, "sessions">): Manifest["format"] {
  return sessions === undefined ? MANIFEST_FORMAT_WITHOUT_SESSIONS : MANIFEST_FORMAT
}

/**
 * The object of `manifest`.
 * @throws EngineError `METADATA_TOO_LARGE` when the object would exceed MANIFEST_BYTES_MAX
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  checkStoreName(manifest.store)
  assert(
    manifest.format === manifestFormatOf(manifest),
    "manifests are written in the oldest format that has an owner",
  )
  assert(
    manifestSchema.safeParse(JSON.parse(JSON.stringify(manifest))).success,
    "a manifest that is written can be read",
  )
  const encoded = encodeSealedJson(manifest)
  if (encoded.length > MANIFEST_BYTES_MAX) {
    throw new EngineError(
      "METADATA_TOO_LARGE",
      `the manifest has ${encoded.length} bytes; at most ${MANIFEST_BYTES_MAX} are allowed`,
    )
  }
  return encoded
}

/**
 * The manifest in `source`, checked whole, which must be the one of `key`.
 * @throws EngineError `DATA_LOSS`, `FORMAT_NEWER`, naming `key`
 */
export function decodeManifest(source: Uint8Array, key: string): Manifest {
  if (source.length > MANIFEST_BYTES_MAX) throw damaged(key, `it has ${source.length} bytes`)
  const manifest = decodeSealedJson(source, { name: key, format: MANIFEST_FORMAT, schema: manifestSchema })
  const { store, partition, timeline, version, epoch } = manifest
  const name = parseVersionKey(key)
  assert(name?.what === "manifest", "a manifest is read under its key")
  const isSame = isSameVersion(name, manifest) && epoch === name.epoch
  if (store !== name.store || partition !== name.partition || !isSame) {
    throw damaged(key, `it is the manifest of ${store}/${partition}/${timeline}/${version}, epoch ${epoch}`)
  }
  return manifest
}

/** What lists show of `manifest`. */
export function summarizeManifest(manifest: Manifest, pinned: boolean): VersionSummary {
  const { version, timeline, epoch, parent, line, createdMs } = manifest
  const { engine, partitionCount, recordCount, bytesNew } = manifest
  return {
    version,
    timeline,
    epoch,
    parent,
    line,
    createdMs,
    engine,
    partitionCount,
    recordCount,
    bytes: manifest.runs.reduce((sum, run) => sum + run.bytes, 0),
    bytesNew,
    metadata: Buffer.from(manifest.metadata, "base64"),
    pinned,
    pinNames: [],
  }
}

function isMetadata(text: string): boolean {
  const bytes = Buffer.from(text, "base64")
  return bytes.length <= METADATA_BYTES_MAX && bytes.toString("base64") === text
}

/** Ends in `last`, ascends, and is on each timeline once. */
function isWholeLine(line: readonly VersionName[], last: VersionName): boolean {
  const end = line.at(-1)
  return (
    end !== undefined &&
    isSameVersion(end, last) &&
    line.every(({ version }, i) => i === 0 || version > line[i - 1]!.version) &&
    new Set(line.map(({ timeline }) => timeline)).size === line.length
  )
}

function areNewestFirst(runs: readonly StoredRun[]): boolean {
  return (
    runs.every((run, i) => i === 0 || compareNewestFirst(runs[i - 1]!, run) < 0) &&
    new Set(runs.map(({ id }) => id)).size === runs.length
  )
}
