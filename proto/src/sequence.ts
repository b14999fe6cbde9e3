// What a frame carries that is applied each time it comes: reads, and writes of clients that never send one again.

import type { PipelineRequest } from "./gen/varve/v1/state_backend.ts"

/** Fields of a frame without a session. */
export const UNSEQUENCED: Pick<PipelineRequest, "session" | "sequence" | "unanswered" | "resent"> =
  Object.freeze({ session: new Uint8Array(0), sequence: 0n, unanswered: 0, resent: false })
