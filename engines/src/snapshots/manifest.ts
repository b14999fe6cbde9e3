// The manifest: the root object of a version. A version exists exactly when its manifest does.
//
//   object := JSON (one line, UTF-8) "\n" sha256 of that line without its newline (64 hex digits) "\n"
//   key    := stores/<store>/<partition>/<timeline>/<version>.manifest
//
// JSON, because at three in the morning somebody reads it with `head -1`; a hash, because a cut or damaged one
// must never be half believed. Its size follows the number of runs, never the number of records.

import type { RunFigures } from "../runs/run.ts"

export const MANIFEST_FORMAT = 1

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

/** A version by its full name within a partition. */
export interface VersionName {
  readonly timeline: string
  readonly version: number
}

export interface Manifest {
  readonly format: typeof MANIFEST_FORMAT
  readonly store: string
  readonly partition: number
  readonly partitionCount: number
  readonly timeline: string
  readonly version: number
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
}

/** A version as lists show it. */
export interface VersionSummary {
  readonly version: number
  readonly timeline: string
  readonly parent: VersionName | null
  readonly line: readonly VersionName[]
  readonly createdMs: number
  readonly engine: string
  readonly partitionCount: number
  readonly recordCount: number
  /** Bytes of the runs that it lists, and bytes that were stored for it. */
  readonly bytes: number
  readonly bytesNew: number
  readonly metadata: Uint8Array
  readonly pinned: boolean
}
