// What travels between the caller's thread and a thread that runs jobs. A job's failure travels as plain values:
// structured cloning turns an EngineError into an Error without its reason.

import { EngineError, type ErrorReason, errorReasons } from "../base/error.ts"

/** Which job is to run on what: `module` and `name` as in `Job`. */
export interface JobRequest {
  readonly module: string
  readonly name: string
  readonly input: unknown
  /** Shared by both threads: another value than 0 tells the job to stop. Absent: it is never told. */
  readonly stop?: Int32Array<SharedArrayBuffer>
}

/** What a thread is started with. */
export interface ThreadStart {
  /** Shared by all threads: another value than 0 tells them to close their object stores. */
  readonly objectStoresClosed: Int32Array<SharedArrayBuffer>
  /** Memory of RequestFigures, where all threads count requests to object stores. */
  readonly requests: SharedArrayBuffer
}

export type JobAnswer = { readonly output: unknown } | { readonly failure: EncodedError }

/** An error and its causes, as far as they are worth reading. */
export interface EncodedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** Of an EngineError. */
  readonly reason: string | undefined
  /** Of an error of the system: `ENOENT` and the like. */
  readonly code: string | undefined
  readonly cause: EncodedError | undefined
}

/** Causes of causes beyond that are dropped; an error may be its own cause. */
const CAUSE_DEPTH_MAX = 5

export function encodeError(error: unknown, depth = 0): EncodedError {
  if (!(error instanceof Error)) {
    const message = String(error)
    return { name: "Error", message, stack: undefined, reason: undefined, code: undefined, cause: undefined }
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined
  const hasCause = error.cause !== undefined && depth < CAUSE_DEPTH_MAX
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    reason: error instanceof EngineError ? error.reason : undefined,
    code,
    cause: hasCause ? encodeError(error.cause, depth + 1) : undefined,
  }
}

/** The error again: an EngineError with its reason when it was one, else an Error with its name. */
export function decodeError(encoded: EncodedError): Error {
  const { name, message, stack, reason, code } = encoded
  const options = encoded.cause === undefined ? {} : { cause: decodeError(encoded.cause) }
  const error = isReason(reason)
    ? new EngineError(reason, message, options)
    : Object.assign(new Error(message, options), { name })
  if (stack !== undefined) error.stack = stack
  return code === undefined ? error : Object.assign(error, { code })
}

function isReason(reason: string | undefined): reason is ErrorReason {
  return reason !== undefined && Object.hasOwn(errorReasons, reason)
}
