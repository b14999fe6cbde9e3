// From whatever was thrown to what a caller is told: code, reason, message. Every error of the daemon passes
// here, so nothing that is thrown reaches a peer unbounded, malformed or unexplained.

import { randomBytes } from "node:crypto"
import { status } from "@grpc/grpc-js"
import { EngineError } from "@varve/engines"
import { errorTable, errorTrailer, isReason, type Reason, VarveError } from "@varve/proto"
import { errorFields, type Log } from "../log.ts"
import { countError } from "../metrics/error-metrics.ts"

/** What the caller is told. */
export interface Failure {
  /** Canonical gRPC status code. */
  readonly code: number
  readonly reason: Reason
  /** Well-formed, at most STATUS_TEXT_BYTES_MAX bytes of UTF-8. */
  readonly message: string
  readonly metadata: Readonly<Record<string, string>>
}

/** Longer texts get lost on the way to a client: headers have limits. */
export const STATUS_TEXT_BYTES_MAX = 1024

const INCIDENT_BYTES = 6

/**
 * The failure that `error` means; it is counted as told to a caller. An error that nobody foresaw is logged under an
 * id that the message names.
 */
export function failureOf(error: unknown, log: Log): Failure {
  const known = error instanceof VarveError || error instanceof EngineError
  if (known && isReason(error.reason)) {
    const { code } = errorTable[error.reason]
    const metadata = error instanceof VarveError ? error.metadata : {}
    countError(error.reason)
    if (code === status.DATA_LOSS || code === status.INTERNAL) {
      log.error("damage", error.message, errorFields(error))
    }
    return { code, reason: error.reason, message: statusText(error.message), metadata }
  }
  countError("INTERNAL")
  const incident = randomBytes(INCIDENT_BYTES).toString("hex")
  log.error("internal-error", `incident ${incident}`, { incident, ...errorFields(error) })
  return {
    code: errorTable.INTERNAL.code,
    reason: "INTERNAL",
    message: `a fault in the daemon; its log has more under incident ${incident}`,
    metadata: { incident },
  }
}

/** A status as grpc-js sends it, with the reason in its trailer. */
export function statusOf(failure: Failure): {
  code: number
  details: string
  metadata: ReturnType<typeof errorTrailer>
} {
  return { code: failure.code, details: failure.message, metadata: errorTrailer(failure) }
}

/** `text` without lone surrogates (which end the process in grpc-js) and cut to STATUS_TEXT_BYTES_MAX bytes. */
export function statusText(text: string): string {
  // A character has at most three bytes per UTF-16 unit, so a longer text need not be encoded whole.
  const bytes = Buffer.from(text.slice(0, STATUS_TEXT_BYTES_MAX), "utf8")
  if (bytes.length <= STATUS_TEXT_BYTES_MAX) return bytes.toString("utf8")
  let end = STATUS_TEXT_BYTES_MAX
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.subarray(0, end).toString("utf8")
}
