// What comes of a frame that was not done: which answers and which broken streams have it sent again.

import { status } from "@grpc/grpc-js"
import { type FrameError, VarveError } from "@varve/proto"

/** A frame with a number that is answered with one of these is sent again as it is. */
export const SENT_AGAIN: ReadonlySet<string> = new Set([
  "SHUTTING_DOWN",
  "FRAME_OUT_OF_ORDER",
  "RESTORE_IN_PROGRESS",
  "ENGINE_CLOSED",
  "CONNECTION_LOST",
])

/** Of those: it may have been applied. */
export const LEFT_IN_DOUBT: ReadonlySet<string> = new Set(["ENGINE_CLOSED", "CONNECTION_LOST"])

/** Refusals that do not know what came of a frame when it came before. */
const UNKNOWING: ReadonlySet<string> = new Set([
  "OWNER_FENCED",
  "STATE_REPLACED",
  "STORE_UNKNOWN",
  "PARTITION_OUT_OF_RANGE",
])

/** What a call is told. @param mayBeApplied its frame has writes that came before, perhaps */
export function toldError({ code, reason, message }: FrameError, mayBeApplied: boolean): VarveError {
  const doubt =
    mayBeApplied && UNKNOWING.has(reason)
      ? "; it was sent before, so a write may or may not have been applied"
      : ""
  return new VarveError(reason === "" ? "INTERNAL" : reason, message + doubt, { code })
}

/** Of calls to partitions which are no more. @param what happened to them @param isFateUnknown of the call's frame */
export function partitionsGone(what: string, isFateUnknown: boolean): VarveError {
  return isFateUnknown
    ? new VarveError("SESSION_EXPIRED", `${what}: what was sent before may or may not have been applied`)
    : new VarveError("WRONG_PARTITION", `${what}: nothing was sent`)
}

/** After these the same attempt to connect fails again: no use in trying on. */
export const FATAL_CODES: ReadonlySet<number> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.UNIMPLEMENTED,
  status.FAILED_PRECONDITION,
])
