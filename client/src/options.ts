// What a caller may set, with units, defaults and ranges; and every limit of the client, in this one place.

import { VarveError } from "@varve/proto"
import type { Bytes } from "./bytes.ts"
import { checkNames, shown } from "./check-options.ts"
import type { ExpectedRecord } from "./state-types.ts"

/** What happens to calls after the state was replaced: by somebody's restore, or by a crash that lost writes. */
export type RollbackPolicy = "follow" | "fail"

/** What `connect` takes. */
export interface ConnectOptions {
  /** Name of the store. Default: "default". */
  readonly store?: string
  /**
   * "follow" (default): calls go on, on whatever state is there. "fail": they fail with STATE_REPLACED, from the
   * moment the state is no longer the one found at connect, until this client itself restores a version. A worker
   * that replays its input wants "fail".
   */
  readonly rollback?: RollbackPolicy
  /**
   * Writes are sent again after a broken connection or a restart of the daemon, and applied once. Default: true. False: a
   * write that was on its way then fails with CONNECTION_LOST, and the daemon remembers nothing of this client.
   */
  readonly sessions?: boolean
  /** How long a call may take, in milliseconds, reconnects included. Default: 10 000. */
  readonly deadlineMs?: number
  /** The same for `snapshot`, `restore` and `scan`. Default: 600 000. */
  readonly longDeadlineMs?: number
  /**
   * How long a call that does not go through the pipeline waits for a connection, in milliseconds. Default:
   * `deadlineMs`.
   */
  readonly connectDeadlineMs?: number
  /** Bytes of point calls on their way, keys and values; above it calls wait. Default: 8 MiB. */
  readonly inflightBytesMax?: number
  /** Point calls that may wait, for bytes in flight or for the first connection. Above it: OVERLOADED. Default: 100 000. */
  readonly waitingCallsMax?: number
  /** Upper bound of the first pause between attempts to connect, in milliseconds. Default: 50. */
  readonly backoffFirstMs?: number
  /** Upper bound of all of them; each is twice the one before. Default: 2 000. */
  readonly backoffMaxMs?: number
}

/** For every call. */
export interface CallOptions {
  /** How long the call may take, in milliseconds. */
  readonly deadlineMs?: number
  /** Aborting it fails the call with CANCELLED. */
  readonly signal?: AbortSignal
}

/** For calls about keys. */
export interface PointOptions extends CallOptions {
  /** Where the keys live: needed with stores that are `partitioning: explicit`; with others it is checked. */
  readonly partition?: number
}

/** What a key must hold for a write to be applied. At most one of the two. */
export interface Condition {
  /** True: the key has no value. */
  readonly ifAbsent?: boolean | undefined
  /** The key's present value is exactly this; empty: it has none. */
  readonly ifValue?: Bytes | undefined
}

/** For `set`. */
export interface SetOptions extends PointOptions, Condition {}

/** For `delete`. */
export interface DeleteOptions extends PointOptions, Pick<Condition, "ifValue"> {}

/** For `write`. */
export interface WriteOptions extends PointOptions {
  /** True: refuse records of more than one partition, so that all are applied or none. Default: false. */
  readonly atomic?: boolean
  /** Conditions: nothing is applied unless each of these keys has exactly this value; empty: it has none. */
  readonly expected?: readonly ExpectedRecord[]
}

export type Settings = Required<ConnectOptions>

/** A frame is closed when it has this many bytes of records; a larger single batch has a frame of its own. */
export const FRAME_BYTES_MAX = 1024 * 1024
/** And when it has this many records: an answer of small values stays near 1 MiB. */
export const FRAME_RECORDS_MAX = 8192
/** Records of one partition in a `write`, and conditions: what the contract allows a frame. */
export const BATCH_RECORDS_MAX = 65_536
/**
 * Frames on their way over a connection from which on a partition sends its next one only when it has no other there:
 * one is answered while one arrives. Two a partition instead make frames half as large, and each
 * costs client and daemon as much as a full one (`npm run bench -- wire`, 64 callers).
 */
export const GATHER_FROM_FRAMES = 2
/** Frames with writes of a partition that may have no answer yet, behind the oldest of them: what a daemon remembers. */
export const UNANSWERED_MAX = 63
/** Message size assumed of a daemon that does not tell its own: gRPC's usual limit. */
export const MESSAGE_BYTES_DEFAULT = 4 * 1024 * 1024
/** Room in a message beside the records: id, store, lineage, lengths. */
export const MESSAGE_OVERHEAD_BYTES = 1024
/** Longest timer that the system can set, in milliseconds. */
const DEADLINE_MS_MAX = 2 ** 31 - 1
/** How long one attempt to connect may take, in milliseconds. */
export const CONNECT_ATTEMPT_MS = 5_000

const DEADLINE_MS = 10_000

const OPTION_NAMES = [
  "store",
  "rollback",
  "sessions",
  "deadlineMs",
  "longDeadlineMs",
  "connectDeadlineMs",
  "inflightBytesMax",
  "waitingCallsMax",
  "backoffFirstMs",
  "backoffMaxMs",
] as const satisfies readonly (keyof ConnectOptions)[]

const STORE_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/

/** The settings, with defaults. @throws VarveError `REQUEST_INVALID`, `STORE_NAME_INVALID` */
export function parseOptions(options: ConnectOptions): Settings {
  checkNames("connect", options, OPTION_NAMES)
  const settings: Settings = {
    store: options.store ?? "default",
    rollback: options.rollback ?? "follow",
    sessions: options.sessions ?? true,
    deadlineMs: options.deadlineMs ?? DEADLINE_MS,
    longDeadlineMs: options.longDeadlineMs ?? 600_000,
    connectDeadlineMs: options.connectDeadlineMs ?? options.deadlineMs ?? DEADLINE_MS,
    inflightBytesMax: options.inflightBytesMax ?? 8 * 1024 * 1024,
    waitingCallsMax: options.waitingCallsMax ?? 100_000,
    backoffFirstMs: options.backoffFirstMs ?? 50,
    backoffMaxMs: options.backoffMaxMs ?? 2_000,
  }
  if (typeof settings.store !== "string" || !STORE_NAME.test(settings.store)) {
    throw new VarveError(
      "STORE_NAME_INVALID",
      `the store name ${JSON.stringify(settings.store)} is not allowed`,
    )
  }
  if (settings.rollback !== "follow" && settings.rollback !== "fail") {
    throw invalid(`rollback is "follow" or "fail", not ${JSON.stringify(settings.rollback)}`)
  }
  if (typeof settings.sessions !== "boolean")
    throw invalid(`sessions is true or false, not ${shown(settings.sessions)}`)
  checkWhole("deadlineMs", settings.deadlineMs, 1, DEADLINE_MS_MAX)
  checkWhole("longDeadlineMs", settings.longDeadlineMs, 1, DEADLINE_MS_MAX)
  checkWhole("connectDeadlineMs", settings.connectDeadlineMs, 1, DEADLINE_MS_MAX)
  checkWhole("inflightBytesMax", settings.inflightBytesMax, 1, Number.MAX_SAFE_INTEGER)
  checkWhole("waitingCallsMax", settings.waitingCallsMax, 0, Number.MAX_SAFE_INTEGER)
  checkWhole("backoffFirstMs", settings.backoffFirstMs, 1, DEADLINE_MS_MAX)
  checkWhole("backoffMaxMs", settings.backoffMaxMs, settings.backoffFirstMs, DEADLINE_MS_MAX)
  return settings
}

/** The deadline of a call, as a duration. @throws VarveError `REQUEST_INVALID` */
export function deadlineOf(options: CallOptions | undefined, defaultMs: number): number {
  const deadlineMs = options?.deadlineMs
  if (deadlineMs === undefined) return defaultMs
  checkWhole("deadlineMs", deadlineMs, 1, DEADLINE_MS_MAX)
  return deadlineMs
}

function checkWhole(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw invalid(`${name} is a whole number from ${least} to ${most}, not ${shown(value)}`)
  }
}

function invalid(message: string): VarveError {
  return new VarveError("REQUEST_INVALID", message)
}
