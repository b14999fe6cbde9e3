// What the daemon is told to do, parsed and checked: plain data that may cross threads. How it is spelt in
// files, environment and flags stands in `settings-table.ts`.

import type { Durability, EngineName, RestoreMode } from "@varve/engines"
import type { ListenAddress } from "./address.ts"

export const partitionings = ["hash", "explicit"] as const
export type Partitioning = (typeof partitionings)[number]

export const recoveryFallbacks = ["none", "previous"] as const
export type RecoveryFallback = (typeof recoveryFallbacks)[number]

export interface StoreSettings {
  readonly name: string
  readonly engine: EngineName
  readonly partitions: number
  /** How long an acknowledged write lasts. */
  readonly durability: Durability
  /** `hash`: a key's slot gives its partition. `explicit`: the caller gives it. */
  readonly partitioning: Partitioning
  readonly valueBytesMax: number
  /** How restores go about it that name no mode, and the recovery after a crash. */
  readonly restoreMode: RestoreMode
  /** What the recovery after a crash does about a newest version that is damaged: it fails, or takes an older one. */
  readonly recoveryFallback: RecoveryFallback
  /** For how long a state that a restore has replaced can be had again, and how many of them. */
  readonly replacedStateSeconds: number
  readonly replacedStatesMax: number
  /** Which versions stay when versions are pruned; 0: no such rule, and without a rule all do. */
  readonly retention: { readonly keepLast: number; readonly keepForMs: number }
  /** Parameters of the engine, checked by its own form (`engine-settings.ts`). */
  readonly settings: Readonly<Record<string, unknown>>
}

/** Every bound on what peers can make the daemon hold. */
export interface Limits {
  readonly messageBytesMax: number
  readonly connectionsMax: number
  readonly streamsPerConnectionMax: number
  readonly inflightBytesMax: number
  readonly streamInflightBytesMax: number
  readonly handshakeSeconds: number
  readonly connectionIdleSeconds: number
  readonly keepaliveSeconds: number
}

/** How versions get into the repository. */
export interface StoringSettings {
  /** Of each shard; 0: no limit. */
  readonly mergeUploadBytesPerSecond: number
  readonly deduplication: boolean
}

/** What garbage collection goes by. */
export interface GarbageSettings {
  /** From one collection, after a pruning, to the next; 0: only on request. */
  readonly intervalMs: number
  /** How long what nothing needs is kept all the same. */
  readonly graceMs: number
  /** Packs of which less than this part is needed are rewritten. */
  readonly liveMin: number
}

/** How the daemon proves that its versions can be restored. */
export interface DrillSettings {
  /** From one drill of all stores to the next; 0: only on request. */
  readonly everyMs: number
  /** Of reading the repository; 0: no limit. */
  readonly bytesPerSecond: number
  /** Whether a drill that fails makes the daemon not ready. */
  readonly failReadiness: boolean
}

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const
export type LogLevel = (typeof logLevels)[number]

export interface Settings {
  readonly grpc: ListenAddress
  readonly http: ListenAddress
  /** Permissions of the files of Unix sockets. */
  readonly socketMode: number
  /** Absolute. */
  readonly dataDir: string
  /** `file:` and an absolute path, or an s3: URL. */
  readonly repository: string
  readonly storing: StoringSettings
  readonly shards: number
  /** A shard whose event loop does not turn for so long is ended and started again; 0: never. */
  readonly shardHangSeconds: number
  /** Between two questions whether a partition is still owned; 0: only snapshots ask. */
  readonly ownerCheckSeconds: number
  /** Divided by the shards, as are the other limits on memory. */
  readonly blockCacheBytes: number
  readonly chunkCacheBytes: number
  readonly garbageCollection: GarbageSettings
  readonly drills: DrillSettings
  readonly limits: Limits
  readonly log: { readonly level: LogLevel }
  /** By name. */
  readonly stores: readonly StoreSettings[]
}

/** Settings that cannot be used. The message names the key, the value, its source and what is allowed. */
export class SettingsError extends Error {
  override readonly name = "SettingsError"
}
