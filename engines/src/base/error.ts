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

export type ErrorKind = keyof typeof errorKinds

/** Every reason with its kind. A reason is never renamed and never given to another cause. */
export const errorReasons = {
  KEY_EMPTY: "invalid",
  KEY_TOO_LARGE: "invalid",
  VALUE_TOO_LARGE: "invalid",
  RECORD_MALFORMED: "invalid",
  RECORD_FLAGS_UNSUPPORTED: "invalid",
  BATCH_TOO_LARGE: "invalid",
  METADATA_TOO_LARGE: "invalid",
  SETTING_INVALID: "invalid",
  ENGINE_UNKNOWN: "invalid",
  REPOSITORY_URL_INVALID: "invalid",
  STORE_NAME_INVALID: "invalid",
  VERSION_INVALID: "invalid",
  VERSION_NOT_ASCENDING: "conflict",
  VERSION_EXISTS: "conflict",
  VERSION_AMBIGUOUS: "conflict",
  ENGINE_MISMATCH: "conflict",
  RESTORE_IN_PROGRESS: "conflict",
  SNAPSHOT_PINNED: "conflict",
  CONDITION_FAILED: "conflict",
  FRAME_OUT_OF_ORDER: "conflict",
  FRAME_REFUSED: "conflict",
  SESSION_EXPIRED: "conflict",
  SNAPSHOT_NOT_FOUND: "missing",
  REPLACED_STATE_NOT_FOUND: "missing",
  WRITES_STALLED: "busy",
  STORAGE_FULL: "busy",
  DATA_LOSS: "corruption",
  FORMAT_NEWER: "unavailable",
  DIRECTORY_LOCKED: "unavailable",
  STORAGE_FAILED: "unavailable",
  REPOSITORY_FAILED: "unavailable",
  ENGINE_POISONED: "unavailable",
  ENGINE_CLOSED: "unavailable",
  OWNER_FENCED: "fenced",
} as const satisfies Record<string, ErrorKind>

export type ErrorReason = keyof typeof errorReasons

/** The one error class of this package. `cause` holds the system's own error where there is one. */
export class EngineError extends Error {
  override readonly name = "EngineError"
  readonly reason: ErrorReason
  /** Name of what is damaged: a file, or the key of an object. */
  readonly object: string | undefined

  constructor(reason: ErrorReason, message: string, options?: { cause?: unknown; object?: string }) {
    super(message, options)
    this.reason = reason
    this.object = options?.object
  }

  get kind(): ErrorKind {
    return errorReasons[this.reason]
  }
}

/** True when `error` is an EngineError, of the given reason when one is given. */
export function isEngineError(error: unknown, reason?: ErrorReason): error is EngineError {
  return error instanceof EngineError && (reason === undefined || error.reason === reason)
}
