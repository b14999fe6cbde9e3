// One partition's way to the daemon. Its calls keep their order: a call joins the open frame or begins the next one, and
// all its frames go over one connection. It changes to another one while it has no frame at all, or all of them wait
// for a connection that is not open and the partition is elsewhere.

import type { Connection } from "./connection.ts"
import type { Fifo } from "./fifo.ts"
import type { Frame } from "./frame.ts"

export interface Lane {
  readonly partition: number
  connection: Connection
  /** Takes calls of the present turn; the last one of `waiting`. */
  openFrame: Frame | undefined
  /** Frames that have not left for the connection, in order. */
  readonly waiting: Fifo<Frame>
  /** Frames that are not done, the open one included. */
  frameCount: number
  /** Frames with writes that the connection has; of a client with a session. */
  handedOver: number
  /** The last number that a frame of the session got here. */
  lastSequence: number
  /** Frames that have a number and no answer, in the order of their numbers. */
  readonly unanswered: Frame[]
}
