// Which frames may come again: those of a session. What a partition answers them is decided in the engine
// (engines/src/partition/sequenced-writes.ts); here is what happens in front of it.
//
//   in front of the partition's table      the frame may be applied already, so a refusal would be a lie:
//                                          it is answered CONNECTION_LOST or SHUTTING_DOWN, and comes again
//   behind it                              `admit`: the refusal is remembered

import { EngineError, type SequencedFrame } from "@varve/engines"
import { SESSION_BYTES } from "@varve/engines/internal"
import { type PipelineRequest, VarveError } from "@varve/proto"

const UNANSWERED_MAX = 63

/** After these the client sends the same frame again, so nothing else of it may be answered. */
const COMES_AGAIN: ReadonlySet<string> = new Set([
  "FRAME_OUT_OF_ORDER",
  "RESTORE_IN_PROGRESS",
  "ENGINE_CLOSED",
])

/**
 * The frame's place in its session; undefined: it has none.
 * @param admit throws when the frame is not taken; called when it did not come before
 * @throws VarveError `FRAME_MALFORMED`
 */
export function placeOf(frame: PipelineRequest, admit: () => void): SequencedFrame | undefined {
  const { session, sequence, unanswered, resent } = frame
  // Who names a place expects its frame to be applied once: it is not applied at all without a session.
  if (session.length === 0 && sequence === 0n && unanswered === 0 && !resent) return undefined
  // What has no exact number is above the limit all the same.
  const number = Number(sequence)
  const isPlace =
    session.length === SESSION_BYTES &&
    number <= Number.MAX_SAFE_INTEGER &&
    unanswered <= UNANSWERED_MAX &&
    unanswered < number
  if (isPlace) return { session, sequence: number, unanswered, resent, admit }
  throw new VarveError(
    "FRAME_MALFORMED",
    `a frame of a session has ${SESSION_BYTES} bytes of session, a sequence of 1 to 2^53 - 1 and at most ${UNANSWERED_MAX} unanswered ` +
      `before it; this one ${session.length}, ${sequence} and ${unanswered}`,
  )
}

/** Whether the client sends the frame again as it is, because nothing of it happened. */
export function comesAgain(error: unknown): boolean {
  return error instanceof EngineError && COMES_AGAIN.has(error.reason)
}

/** What a frame is answered that could not be handed to its partition. */
export function notHandedOver(frame: PipelineRequest, error: unknown): unknown {
  if (frame.session.length === 0 || !(error instanceof Error)) return error
  return new VarveError(
    "CONNECTION_LOST",
    `the frame did not come to its partition, send it again: ${error.message}`,
    { cause: error },
  )
}
