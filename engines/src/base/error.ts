// Every error that leaves this package. Many causes (reasons) fall into few kinds, and a kind says what the
// caller does next. Reasons are stable: programs compare them. Messages are for people: they name the value
// and the limit.

/** What the caller does about an error. */
export const errorKinds = {
  invalid: "fix the call: the same call fails again",
  conflict: "look at the state, then make another call",
  missing: "it is not there: ask for something else",
  busy: "try the same call again, later",
  corruption: "stored bytes are damaged: restore a version",
  fenced: "another owner has taken over: ask the new one",
  unavailable: "storage or engine is out of service: mend the cause and reopen",
} as const

/** What the caller does about an error, by name. */
export type ErrorKind = keyof typeof errorKinds

/** Every reason with its kind. A reason is never renamed and never given to another cause. */
export const errorReasons = {
  /** A key has at least 1 byte. */
  KEY_EMPTY: "invalid",
  /** A key has at most 65 535 bytes. */
  KEY_TOO_LARGE: "invalid",
  /** The value is larger than the store's limit. */
  VALUE_TOO_LARGE: "invalid",
  /** The bytes of a batch are no whole records. */
  RECORD_MALFORMED: "invalid",
  /** A record carries flags that this version does not take. */
  RECORD_FLAGS_UNSUPPORTED: "invalid",
  /** The records of one atomic batch are larger than the limit: send fewer at once. */
  BATCH_TOO_LARGE: "invalid",
  /** The metadata of a version has at most 1 MiB. */
  METADATA_TOO_LARGE: "invalid",
  /** A setting is unknown or out of range. */
  SETTING_INVALID: "invalid",
  /** There is no engine of this name. */
  ENGINE_UNKNOWN: "invalid",
  /** The repository's URL is not understood. */
  REPOSITORY_URL_INVALID: "invalid",
  /** A store's name is [a-z0-9][a-z0-9-]{0,62}. */
  STORE_NAME_INVALID: "invalid",
  /** A version is a number from 1 to 2^53 - 1. */
  VERSION_INVALID: "invalid",
  /** The version is not above the last one on the current line. */
  VERSION_NOT_ASCENDING: "conflict",
  /** The version is there already. */
  VERSION_EXISTS: "conflict",
  /** The number stands on several timelines: name one. */
  VERSION_AMBIGUOUS: "conflict",
  /** A directory, or a version that cannot be converted, is of another engine or partition count. */
  ENGINE_MISMATCH: "conflict",
  /** A restore is running: call again when it is done. */
  RESTORE_IN_PROGRESS: "conflict",
  /** The version is pinned: take the pin off first. */
  SNAPSHOT_PINNED: "conflict",
  /** A condition of the write does not hold, and nothing was applied: read the keys and decide anew. */
  CONDITION_FAILED: "conflict",
  /** The state is no longer the one that the caller wrote to, or scans: restore a version and replay, or scan again. */
  STATE_REPLACED: "conflict",
  /** A frame of the session that comes before this one has not come yet: send them in order. */
  FRAME_OUT_OF_ORDER: "conflict",
  /** The frame was refused when it first came, and is not applied now: its records may go in a new frame. */
  FRAME_REFUSED: "conflict",
  /** The partition has forgotten the session: nobody knows whether this frame was applied when it came before. */
  SESSION_EXPIRED: "conflict",
  /** There is no such version. */
  SNAPSHOT_NOT_FOUND: "missing",
  /** The replaced state is no longer kept. */
  REPLACED_STATE_NOT_FOUND: "missing",
  /** Writes wait for flushes or merges: call again later. */
  WRITES_STALLED: "busy",
  /** The disk or the repository is full: reads go on, writes again when there is space. */
  STORAGE_FULL: "busy",
  /** Stored bytes are damaged: restore a version. */
  DATA_LOSS: "corruption",
  /** The data was written by a newer version of the software. */
  FORMAT_NEWER: "unavailable",
  /** Another process holds the data directory. */
  DIRECTORY_LOCKED: "unavailable",
  /** The disk failed: see the daemon's log. */
  STORAGE_FAILED: "unavailable",
  /** The repository failed or cannot be reached. */
  REPOSITORY_FAILED: "unavailable",
  /** A disk failure made durability unsure: mend it and start the daemon anew. */
  ENGINE_POISONED: "unavailable",
  /** The engine is closed: call again when the daemon is back. */
  ENGINE_CLOSED: "unavailable",
  /** Another owner has taken the partition over: ask it. */
  OWNER_FENCED: "fenced",
} as const satisfies Record<string, ErrorKind>

/** Why a call failed. */
export type ErrorReason = keyof typeof errorReasons

/** The one error class of this package. `cause` holds the system's own error where there is one. */
export class EngineError extends Error {
  /** Always `EngineError`. */
  override readonly name = "EngineError"
  /** For programs. */
  readonly reason: ErrorReason
  /** Name of what is damaged: a file, or the key of an object. */
  readonly object: string | undefined

  /** `message` is for people: it names the value and the limit. */
  constructor(reason: ErrorReason, message: string, options?: { cause?: unknown; object?: string }) {
    super(message, options)
    this.reason = reason
    this.object = options?.object
  }

  /** What the caller does about it. */
  get kind(): ErrorKind {
    return errorReasons[this.reason]
  }
}

/** True when `error` is an EngineError, of the given reason when one is given. */
export function isEngineError(error: unknown, reason?: ErrorReason): error is EngineError {
  return error instanceof EngineError && (reason === undefined || error.reason === reason)
}
