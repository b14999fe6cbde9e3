// What waits until somebody has described the store, in order: calls, and those who want to know when the calls before
// them have started.

import type { PointCall } from "./point-call.ts"
import type { Topology } from "./topology.ts"

export interface WaitingCall {
  readonly call: PointCall
  readonly start: (topology: Topology) => void
}

/** Somebody who wants to know when all calls before have started. */
export interface WaitingTurn {
  /** Nobody wants to know any more. */
  over: boolean
  readonly turn: () => void
}

/** Whether nobody waits for it any more. */
export function isOver(entry: WaitingCall | WaitingTurn): boolean {
  return "turn" in entry ? entry.over : entry.call.settled
}
