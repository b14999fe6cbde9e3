// THE table of errors: every reason that a call can fail with, and what programs do about it. Servers answer a
// reason in google.rpc.ErrorInfo (error-details.ts), clients give it to their callers, the README prints the
// table. A reason is never renamed and never given to another cause.
//
// `retryable` says: nothing of the call was applied, and the same call may succeed later. The one exception is
// CONNECTION_LOST on a write, of which nobody knows whether it was applied; its message says so.

import { status } from "@grpc/grpc-js"

/** What programs and people are told of a reason. */
export interface ErrorTableEntry {
  /** Canonical gRPC status code. */
  readonly code: number
  /** Status of an answer of the HTTP interface. */
  readonly httpStatus: number
  /** Nothing was applied, and the same call may succeed later. */
  readonly retryable: boolean
  /** For people: what happened and what to do. */
  readonly meaning: string
}

/** Every reason that a call can fail with. */
export const errorTable = {
  KEY_EMPTY: invalid("A key has at least 1 byte."),
  KEY_TOO_LARGE: invalid("A key has at most 65 535 bytes."),
  VALUE_TOO_LARGE: invalid("The value is larger than the store's limit."),
  RECORD_MALFORMED: invalid("The bytes of a batch are no whole records."),
  BATCH_TOO_LARGE: invalid("The records of one atomic batch are larger than the limit: send fewer at once."),
  RECORD_FLAGS_UNSUPPORTED: invalid("A record carries flags that this version does not take."),
  METADATA_TOO_LARGE: invalid("The metadata of a version has at most 1 MiB."),
  SETTING_INVALID: invalid("A setting is unknown or out of range."),
  ENGINE_UNKNOWN: invalid("There is no engine of this name."),
  REPOSITORY_URL_INVALID: invalid("The repository's URL is not understood."),
  STORE_NAME_INVALID: invalid("A store's name is [a-z0-9][a-z0-9-]{0,62}."),
  VERSION_INVALID: invalid("A version is a number from 1 to 2^53 - 1."),
  PARTITION_OUT_OF_RANGE: invalid("The store has no partition of this number.", status.OUT_OF_RANGE),
  WRONG_PARTITION: invalid("The key belongs to another partition than the one given."),
  PARTITION_REQUIRED: invalid(
    "The call has to name a partition: the store is `partitioning: explicit`, or keys span several.",
  ),
  FRAME_MALFORMED: invalid("A frame of a pipeline carries no work, or work that cannot be read."),
  REQUEST_INVALID: invalid("An argument is missing or not allowed."),

  VERSION_NOT_ASCENDING: conflict("The version is not above the last one on the current line."),
  VERSION_EXISTS: conflict("The version is there already.", status.ALREADY_EXISTS),
  VERSION_AMBIGUOUS: conflict("The number stands on several timelines: name one."),
  ENGINE_MISMATCH: conflict(
    "A directory, or a version that cannot be converted, is of another engine or partition count.",
  ),
  RESTORE_IN_PROGRESS: {
    code: status.ABORTED,
    httpStatus: 409,
    retryable: true,
    meaning: "A restore is running: call again when it is done.",
  },
  CONDITION_FAILED: conflict(
    "A condition of the write does not hold, and nothing was applied: read the keys and decide anew.",
    status.ABORTED,
  ),
  SNAPSHOT_PINNED: conflict("The version is pinned: take the pin off first."),
  STATE_REPLACED: conflict(
    "The state is no longer the one that the caller wrote to, or scans: restore a version and replay, or scan again.",
  ),
  OWNER_FENCED: conflict("Another owner has taken the partition over: ask it."),
  FRAME_OUT_OF_ORDER: {
    code: status.ABORTED,
    httpStatus: 409,
    retryable: true,
    meaning: "A frame of the session that comes before this one has not come yet: send them in order.",
  },
  FRAME_REFUSED: conflict(
    "The frame was refused when it first came, and is not applied now: its records may go in a new frame.",
    status.ABORTED,
  ),
  SESSION_EXPIRED: conflict(
    "The partition has forgotten the session: nobody knows whether this frame was applied when it came before.",
  ),

  STORE_UNKNOWN: missing("There is no store of this name here."),
  SNAPSHOT_NOT_FOUND: missing("There is no such version."),
  REPLACED_STATE_NOT_FOUND: missing("The replaced state is no longer kept."),

  WRITES_STALLED: busy("Writes wait for flushes or merges: call again later."),
  STORAGE_FULL: busy("The disk or the repository is full: reads go on, writes again when there is space."),
  OVERLOADED: busy("A limit on what may be in flight is reached: call again later, or less often."),
  MESSAGE_TOO_LARGE: {
    code: status.RESOURCE_EXHAUSTED,
    httpStatus: 413,
    retryable: false,
    meaning: "The message is larger than the limit: send less at once.",
  },

  SHUTTING_DOWN: unavailable("The daemon is going down: call again when it is back.", true),
  NOT_ON_THIS_NODE: unavailable("The partition is served elsewhere: ask Describe where.", true),
  CONNECTION_LOST: unavailable(
    "The connection broke or cannot be made. A write that was on its way may or may not have been applied.",
    true,
  ),
  ENGINE_CLOSED: unavailable("The engine is closed: call again when the daemon is back.", true),
  DIRECTORY_LOCKED: unavailable("Another process holds the data directory.", false),
  STORAGE_FAILED: unavailable("The disk failed: see the daemon's log.", false),
  REPOSITORY_FAILED: unavailable("The repository failed or cannot be reached.", true),
  ENGINE_POISONED: unavailable(
    "A disk failure made durability unsure: mend it and start the daemon anew.",
    false,
  ),
  FORMAT_NEWER: conflict("The data was written by a newer version of the software."),

  DATA_LOSS: {
    code: status.DATA_LOSS,
    httpStatus: 500,
    retryable: false,
    meaning: "Stored bytes are damaged: restore a version.",
  },
  DEADLINE_PASSED: {
    code: status.DEADLINE_EXCEEDED,
    httpStatus: 504,
    retryable: false,
    meaning: "The deadline passed. A write that was on its way may or may not have been applied.",
  },
  CANCELLED: {
    code: status.CANCELLED,
    httpStatus: 499,
    retryable: false,
    meaning: "The caller cancelled. A write that was on its way may or may not have been applied.",
  },
  CLIENT_CLOSED: {
    code: status.CANCELLED,
    httpStatus: 499,
    retryable: false,
    meaning: "This client was closed. A write that was on its way may or may not have been applied.",
  },
  UNIMPLEMENTED: {
    code: status.UNIMPLEMENTED,
    httpStatus: 501,
    retryable: false,
    meaning: "The daemon does not know this call: it is older than the client, or not a Varve daemon.",
  },
  INTERNAL: {
    code: status.INTERNAL,
    httpStatus: 500,
    retryable: false,
    meaning: "A fault in the software: the daemon's log has more.",
  },
} as const satisfies Record<string, ErrorTableEntry>

/** Stable name of the cause of an error. */
export type Reason = keyof typeof errorTable

/** True for the reasons of the table; what a newer peer sends may be another. */
export function isReason(text: string): text is Reason {
  return Object.hasOwn(errorTable, text)
}

/** The one error that calls fail with, whether a daemon answered it or this side found it. */
export class VarveError extends Error {
  override readonly name = "VarveError"
  /** A `Reason`, or what a newer daemon sent. */
  readonly reason: Reason | (string & {})
  /** Canonical gRPC status code. */
  readonly code: number
  /** As in the error table. */
  readonly retryable: boolean
  /** Values that belong to the reason, as in ErrorInfo. */
  readonly metadata: Readonly<Record<string, string>>

  constructor(
    reason: Reason | (string & {}),
    message: string,
    options: { code?: number; metadata?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const entry = isReason(reason) ? errorTable[reason] : undefined
    this.reason = reason
    this.code = options.code ?? entry?.code ?? status.UNKNOWN
    this.retryable = entry?.retryable ?? this.code === status.UNAVAILABLE
    this.metadata = options.metadata ?? {}
  }
}

/** True when `error` is a VarveError, of the given reason when one is given. */
export function isVarveError(error: unknown, reason?: Reason): error is VarveError {
  return error instanceof VarveError && (reason === undefined || error.reason === reason)
}

function invalid(meaning: string, code: number = status.INVALID_ARGUMENT): ErrorTableEntry {
  return { code, httpStatus: 400, retryable: false, meaning }
}

function conflict(meaning: string, code: number = status.FAILED_PRECONDITION): ErrorTableEntry {
  return { code, httpStatus: 409, retryable: false, meaning }
}

function missing(meaning: string): ErrorTableEntry {
  return { code: status.NOT_FOUND, httpStatus: 404, retryable: false, meaning }
}

function busy(meaning: string): ErrorTableEntry {
  return { code: status.RESOURCE_EXHAUSTED, httpStatus: 429, retryable: true, meaning }
}

function unavailable(meaning: string, retryable: boolean): ErrorTableEntry {
  return { code: status.UNAVAILABLE, httpStatus: 503, retryable, meaning }
}
