// What frames and their answers count against the limits of bytes in flight.

import type { PipelineRequest, PipelineResponse } from "@varve/proto"

/** Of a frame or an answer besides its payload. */
const FRAME_OVERHEAD_BYTES = 64
/** Of an error besides its text. */
const ERROR_OVERHEAD_BYTES = 256
/** Of the error of one operation, about. */
const OPERATION_ERROR_BYTES = 256

/** What the frame holds while its work is done. */
export function frameBytes({ work }: PipelineRequest): number {
  if (work === undefined) return FRAME_OVERHEAD_BYTES
  const workBytes =
    work.$case === "conditionalWrites"
      ? work.value.records.length + work.value.expected.length
      : work.value.length
  return FRAME_OVERHEAD_BYTES + workBytes
}

/** What the answer holds until the client has taken it. */
export function answerBytes({ result }: PipelineResponse): number {
  if (result?.$case === "values") return FRAME_OVERHEAD_BYTES + result.value.length
  if (result?.$case === "error") {
    return FRAME_OVERHEAD_BYTES + ERROR_OVERHEAD_BYTES + 2 * result.value.message.length
  }
  if (result?.$case !== "operations") return FRAME_OVERHEAD_BYTES
  const { values, errors } = result.value
  return FRAME_OVERHEAD_BYTES + values.length + errors.length * OPERATION_ERROR_BYTES
}
