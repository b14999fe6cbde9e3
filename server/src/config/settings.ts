// What the daemon is told to do, parsed and checked: plain data that may cross threads. How it is spelt in
// files, environment and flags stands in `settings-table.ts`.

import type { Durability, EngineName } from "@varve/engines"
import type { ListenAddress } from "./address.ts"

export const partitionings = ["hash", "explicit"] as const
export type Partitioning = (typeof partitionings)[number]

export interface StoreSettings {
  readonly name: string
  readonly engine: EngineName
  readonly partitions: number
  /** How long an acknowledged write lasts. */
  readonly durability: Durability
  /** `hash`: a key's slot gives its partition. `explicit`: the caller gives it. */
  readonly partitioning: Partitioning
  readonly valueBytesMax: number
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

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const
export type LogLevel = (typeof logLevels)[number]

export interface Settings {
  readonly grpc: ListenAddress
  readonly http: ListenAddress
  /** Absolute. */
  readonly dataDir: string
  /** `file:` and an absolute path. */
  readonly repository: string
  readonly shards: 1
  /** Of each shard. */
  readonly blockCacheBytes: number
  readonly limits: Limits
  readonly log: { readonly level: LogLevel }
  /** By name. */
  readonly stores: readonly StoreSettings[]
}

/** Settings that cannot be used. The message names the key, the value, its source and what is allowed. */
export class SettingsError extends Error {
  override readonly name = "SettingsError"
}
