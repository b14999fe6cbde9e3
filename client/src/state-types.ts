// Arguments and answers of the calls of a State.

import type { DescribeResponse, RestoreResponse, SnapshotDescription, SnapshotResponse } from "@varve/proto"
import type { Bytes } from "./bytes.ts"
import type { CallOptions, Condition, PointOptions } from "./options.ts"
import type { Plain } from "./plain.ts"

/** A record to write; with a condition the whole write is applied only if it holds. */
export interface WriteRecord extends Condition {
  /** 1 to 65 535 bytes. */
  readonly key: Bytes
  /** Empty: the key is deleted. */
  readonly value: Bytes
}

/** A condition of a write on any key. */
export interface ExpectedRecord {
  /** 1 to 65 535 bytes. */
  readonly key: Bytes
  /** Empty: the key has no value. */
  readonly value: Bytes
}

/** A record of a scan. Its bytes are the caller's. */
export interface StateRecord {
  /** 1 to 65 535 bytes. */
  readonly key: Buffer
  /** Empty when only keys were asked for. */
  readonly value: Buffer
}

/** For `scan`. */
export interface ScanOptions extends PointOptions {
  /** Only keys that start with these bytes. */
  readonly prefix?: Bytes
  /** Only keys of `[start, end)`, compared as unsigned bytes. */
  readonly start?: Bytes
  /** The first key behind the range; it is not in it. */
  readonly end?: Bytes
  /** Leaves the values empty. */
  readonly keysOnly?: boolean
  /** At most this many records. */
  readonly limit?: number
}

/** For `snapshot`. */
export interface SnapshotOptions extends CallOptions {
  /** 1 to 2^53 - 1, above the last version on the current line; gaps allowed. */
  readonly version: number
  /** Up to 1 MiB, committed together with the state and given back by `restore`. */
  readonly metadata?: Bytes
  /** Default: all that the daemon serves. */
  readonly partitions?: readonly number[]
}

/** For `restore`. */
export interface RestoreOptions extends CallOptions {
  /** Default: the newest version that all the partitions have. */
  readonly version?: number
  /** Needed only when the number stands on several timelines. */
  readonly timeline?: string
  /** Instead of a version: the handle of a replaced state, as an earlier restore answered it. */
  readonly replaced?: string
  /** When the newest version is found damaged, takes the newest older one that is not; the result's `skipped` says so. */
  readonly fallback?: "previous"
  /**
   * `lazy`: resolves when the state can be served; records are fetched as they are asked for, and in the background.
   * `eager`: resolves when all of it is at the daemon. Default: as the store is set, `lazy` unless it says otherwise.
   */
  readonly mode?: "lazy" | "eager"
  /** Default: all that the daemon serves. */
  readonly partitions?: readonly number[]
}

/** Names a version. */
export interface VersionOptions extends CallOptions {
  /** Its number, 1 to 2^53 - 1. */
  readonly version: number
  /** Needed only when the number stands on several timelines. */
  readonly timeline?: string
}

/** For `pinSnapshot`. */
export interface PinOptions extends VersionOptions {
  /** False takes the protection off. */
  readonly pinned: boolean
  /** A version may have several pins of different names, and one without. To take off: no name means all. */
  readonly name?: string
}

/** What a committed version cost. */
export type SnapshotResult = Plain<SnapshotResponse>
/** The version that was put back, and what it carried. */
export type RestoreResult = Plain<RestoreResponse>
/** A version in the list of a store. */
export type SnapshotSummary = Plain<SnapshotDescription>
/** What the daemon serves: stores, partitions, addresses, statistics. */
export type Description = Plain<DescribeResponse>
