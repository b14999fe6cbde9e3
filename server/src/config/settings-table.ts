// Every setting: one row each, with its form, default, unit and meaning. Flags, environment names, checks,
// error messages and the table in server/README.md all come from here.

import { availableParallelism } from "node:os"
import { BLOCK_CACHE_BYTES_MAX, durabilities, engineNames, restoreModes } from "@varve/engines"
import {
  GRACE_MS_DEFAULT,
  GRACE_MS_MIN,
  MERGE_UPLOAD_BYTES_PER_SECOND_DEFAULT,
  MERGE_UPLOAD_BYTES_PER_SECOND_MAX,
  VALUE_BYTES_DEFAULT,
  VALUE_BYTES_MAX,
} from "@varve/engines/internal"
import { z } from "zod"
import { formatDuration } from "./duration.ts"
import { repositoryForm, shownRepository } from "./repository-url.ts"
import { address, boolean, duration, integer, oneOf, part, type SettingForm } from "./setting-forms.ts"
import { logLevels, partitionings, recoveryFallbacks } from "./settings.ts"

export interface SettingRow extends SettingForm {
  /** Path in the configuration file; for stores, below `stores.NAME`. */
  readonly key: string
  /** Name on the command line; those without one are set by file or environment. */
  readonly flag?: string
  readonly unit: string
  /** As one would write it. */
  readonly default: string
  readonly description: string
  /** A refused value for a message; absent: as JSON. */
  readonly shown?: (value: unknown) => string
}

const MIB = 1024 * 1024
const PARTITIONS_MAX = 256
const SHARDS_MAX = 64

/** Settings of the daemon. */
export const settingRows: readonly SettingRow[] = [
  {
    key: "grpc",
    flag: "--grpc",
    unit: "address",
    allowed:
      "HOST:PORT, [IPV6]:PORT, :PORT or PORT (0: any free port), without a host: loopback; or unix:PATH of at most 107 bytes",
    default: "127.0.0.1:7400",
    description:
      "Where workers reach the daemon. Further shards take the ports after it, or the path with .1, .2 and so on behind it.",
    form: address,
  },
  {
    key: "http",
    flag: "--http",
    unit: "address",
    allowed: "as grpc",
    default: "127.0.0.1:7480",
    description: "Where metrics, health, the administrative calls as JSON and the status page are.",
    form: address,
  },
  {
    key: "socketMode",
    flag: "--socket-mode",
    unit: "mode",
    allowed: "000 to 777, octal",
    default: "600",
    description: "Permissions of the files of Unix sockets. Who may write to the file may connect.",
    form: z
      .union([z.string(), z.number()])
      .transform(String)
      .pipe(z.string().regex(/^(?:0o?)?[0-7]{3}$/))
      .transform((digits) => Number.parseInt(digits.slice(-3), 8)),
  },
  {
    key: "dataDir",
    flag: "--data-dir",
    unit: "path",
    allowed: "a directory that this daemon alone uses",
    default: "./data",
    description: "Where the stores live. Relative to the current directory.",
    form: z.string().min(1).max(4096),
  },
  {
    key: "repository",
    flag: "--repository",
    unit: "URL",
    allowed: "file:DIR, or s3://BUCKET/PREFIX (?endpoint=URL&region=NAME&forcePathStyle=true&writers=one)",
    default: "file: and repository in dataDir",
    description:
      "Where versions live. A relative DIR is taken from the current directory; a bucket's credentials come from the environment.",
    form: repositoryForm,
    shown: shownRepository,
  },
  {
    key: "repository.mergeUploadBytesPerSecond",
    unit: "bytes per second",
    ...integer(0, MERGE_UPLOAD_BYTES_PER_SECOND_MAX),
    default: String(MERGE_UPLOAD_BYTES_PER_SECOND_DEFAULT),
    description:
      "How fast each shard uploads merged runs, behind its snapshots, which never wait for them; 0: no limit.",
  },
  {
    key: "repository.deduplication",
    unit: "true or false",
    ...boolean,
    default: "true",
    description:
      "Whether what the repository holds is looked up before a snapshot uploads. `false`: every snapshot uploads its whole state, for comparisons.",
  },
  {
    key: "shards",
    flag: "--shards",
    unit: "threads",
    allowed: `1 to ${SHARDS_MAX}, or auto: one for each core`,
    default: "1",
    description:
      "How many threads own partitions: partition p lives on thread p mod shards, which listens at an address of its own.",
    form: z
      .union([z.number(), z.string()])
      .transform((value) => (value === "auto" ? Math.min(SHARDS_MAX, availableParallelism()) : Number(value)))
      .pipe(z.number().int().min(1).max(SHARDS_MAX)),
  },
  {
    key: "shardHangSeconds",
    flag: "--shard-hang-seconds",
    unit: "seconds",
    ...integer(0, 3600),
    default: "30",
    description:
      "A shard that does nothing at all for so long is ended as by a crash and started again; the others go on. 0: never.",
  },
  {
    key: "ownerCheckSeconds",
    flag: "--owner-check-seconds",
    unit: "seconds",
    ...integer(0, 3600),
    default: "5",
    description:
      "How often a partition asks the repository whether another daemon has taken it over, besides each snapshot. 0: snapshots only.",
  },
  {
    key: "blockCacheBytes",
    flag: "--block-cache-bytes",
    unit: "bytes",
    ...integer(0, BLOCK_CACHE_BYTES_MAX),
    default: String(64 * MIB),
    description:
      "Memory for blocks of runs that were read, divided by the shards and shared by the partitions of each; 0: every cold read asks the disk.",
  },
  {
    key: "garbageCollection.interval",
    flag: "--gc-interval",
    unit: "duration",
    ...duration(1000, "off"),
    default: "0",
    description:
      "How often the versions of each store are pruned by its retention, and then garbage is collected in the repository.",
  },
  {
    key: "garbageCollection.grace",
    unit: "duration",
    ...duration(GRACE_MS_MIN),
    default: formatDuration(GRACE_MS_DEFAULT),
    description:
      "How long what no version needs is kept all the same: longer than any snapshot takes to commit.",
  },
  {
    key: "garbageCollection.liveMin",
    unit: "part",
    ...part,
    default: "0.3",
    description: "Packs of which less than this part is needed are rewritten; 0: none.",
  },
  {
    key: "drills.every",
    flag: "--drill-every",
    unit: "duration",
    ...duration(1000, "off"),
    default: "0",
    description:
      "How often the newest complete version of each store is read from the repository alone and proven: a restore drill.",
  },
  {
    key: "drills.bytesPerSecond",
    unit: "bytes per second",
    ...integer(0, 1024 * 1024 * MIB),
    default: String(16 * MIB),
    description: "What drills read at most, on average, in bursts of one second's bytes; 0: no limit.",
  },
  {
    key: "drills.failReadiness",
    unit: "",
    ...boolean,
    default: "false",
    description:
      "Whether a drill that fails makes the daemon not ready, until one passes: `/readyz` answers 503, health checks NOT_SERVING. Calls are taken all the same.",
  },
  {
    key: "chunkCacheBytes",
    unit: "bytes",
    ...integer(0, 64 * 1024 * MIB),
    default: String(16 * MIB),
    description:
      "Memory for chunks of versions that were read from the repository on demand, divided by the shards and shared by the partitions of each.",
  },
  {
    key: "limits.messageBytesMax",
    unit: "bytes",
    ...integer(128 * 1024, 1024 * MIB),
    default: String(8 * MIB),
    description: "Largest message in either direction. Must hold a record of each store's largest value.",
  },
  {
    key: "limits.connectionsMax",
    unit: "connections",
    ...integer(1, 65_535),
    default: "1024",
    description: "Open gRPC connections of each shard; further ones are closed at once.",
  },
  {
    key: "limits.streamsPerConnectionMax",
    unit: "calls",
    ...integer(1, 100_000),
    default: "256",
    description: "Calls that one connection may have open; further ones wait at the client.",
  },
  {
    key: "limits.inflightBytesMax",
    unit: "bytes",
    ...integer(MIB, 1024 * 1024 * MIB),
    default: String(256 * MIB),
    description:
      "Requests being worked on and answers not yet taken, in all, divided by the shards; above it: OVERLOADED. Messages that are still arriving have as much of their own, and so have open calls, 16 KiB each.",
  },
  {
    key: "limits.streamInflightBytesMax",
    unit: "bytes",
    ...integer(64 * 1024, 1024 * MIB),
    default: String(4 * MIB),
    description: "The same for one pipeline; above it the daemon stops reading from the pipeline.",
  },
  {
    key: "limits.handshakeSeconds",
    unit: "seconds",
    ...integer(1, 3600),
    default: "10",
    description:
      "How long a new connection may say nothing before it is closed, and a request may take to come, and as much again for each MiB of it. So long may answers not be taken while space is short.",
  },
  {
    key: "limits.connectionIdleSeconds",
    unit: "seconds",
    ...integer(1, 1_000_000),
    default: "600",
    description: "How long a connection may have no call open before it is closed.",
  },
  {
    key: "limits.keepaliveSeconds",
    unit: "seconds",
    ...integer(1, 1_000_000),
    default: "60",
    description: "How often a silent connection is asked whether its peer is still there.",
  },
  {
    key: "log.level",
    flag: "--log-level",
    unit: "level",
    ...oneOf(logLevels),
    default: "info",
    description: "What is logged: this level and above.",
  },
]

/** Settings of one store, below `stores.NAME` in the file; flags and environment act on the store `default`. */
export const storeSettingRows: readonly SettingRow[] = [
  {
    key: "engine",
    flag: "--engine",
    unit: "name",
    ...oneOf(engineNames),
    default: "hybrid-log",
    description: "Engine type. Fixed once the store has data.",
  },
  {
    key: "partitions",
    flag: "--partitions",
    unit: "partitions",
    ...integer(1, PARTITIONS_MAX),
    default: "4",
    description: "Number of partitions. Fixed once the store has data.",
  },
  {
    key: "durability",
    flag: "--durability",
    unit: "name",
    ...oneOf(durabilities),
    default: "snapshot",
    description:
      "How long an acknowledged write lasts. `snapshot`: until a crash, unless a snapshot has it. `log`: it is synced to a log before the answer and survives kill -9 and power loss.",
  },
  {
    key: "partitioning",
    unit: "name",
    ...oneOf(partitionings),
    default: "hash",
    description: "Whether a key's hash or the caller chooses the partition. Fixed once the store has data.",
  },
  {
    key: "valueBytesMax",
    unit: "bytes",
    ...integer(1, VALUE_BYTES_MAX),
    default: String(VALUE_BYTES_DEFAULT),
    description: "Largest value.",
  },
  {
    key: "restoreMode",
    unit: "name",
    ...oneOf(restoreModes),
    default: "lazy",
    description:
      "When a restore answers. `lazy`: when the index is here; records come when they are asked for, and all others in the background. `eager`: when all is here and proven.",
  },
  {
    key: "recoveryFallback",
    unit: "name",
    ...oneOf(recoveryFallbacks),
    default: "none",
    description:
      "What a start after a crash does when the newest complete version is damaged. `none`: it fails. `previous`: it takes the newest older one that is not, and logs an error.",
  },
  {
    key: "replacedStateSeconds",
    unit: "seconds",
    ...integer(60, 31_536_000),
    default: "3600",
    description: "How long the state that a restore has replaced can be had again.",
  },
  {
    key: "replacedStatesMax",
    unit: "states",
    ...integer(1, 100),
    default: "3",
    description: "How many replaced states of each partition are kept at most; they take disk space.",
  },
  {
    key: "retention.keepLast",
    flag: "--keep-last",
    unit: "versions",
    ...integer(0, 1_000_000),
    default: "0",
    description:
      "How many complete versions of the current line are kept, the newest, when versions are pruned. 0: this rule keeps none; without a rule nothing goes.",
  },
  {
    key: "retention.keepFor",
    flag: "--keep-for",
    unit: "duration",
    ...duration(1000, "this rule keeps none"),
    default: "0",
    description: "Versions that are younger are kept. What either rule keeps is kept, and what is pinned.",
  },
  {
    key: "settings",
    unit: "map",
    allowed: "the engine's parameters by name",
    default: "{}",
    description: "Parameters of the engine (engines/README.md).",
    form: z.record(z.string().max(100), z.unknown()),
  },
]

/** Name of a setting in the environment: `limits.connectionsMax` is `VARVE_LIMITS_CONNECTIONS_MAX`. */
export function environmentName(key: string): string {
  const words = key.replaceAll(".", "_").replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_")
  return `VARVE_${words.toUpperCase()}`
}

/** Name of a flag in the object that the command line parser makes: `--data-dir` is `dataDir`. */
export function flagProperty(flag: string): string {
  return flag.slice(2).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
