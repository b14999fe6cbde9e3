// What a connection knows of the client that it belongs to.

import type { DescribeResponse, VarveError } from "@varve/proto"
import type { Connection } from "./connection.ts"
import type { Frame } from "./frame.ts"
import type { FramePlace } from "./frame-message.ts"
import type { ConnectionCounts } from "./statistics.ts"

/** What a connection asks of its owner. */
export interface ConnectionOwner {
  /** Of all connections together. */
  readonly counts: ConnectionCounts
  /** Asked before each stream. Throws a VarveError when the daemon cannot serve this client. */
  described(response: DescribeResponse, connection: Connection): void
  /** Nothing can be sent here until the cause is mended; frames of this connection have been failed. */
  refused(error: VarveError, connection: Connection): void
  /** Whether somebody waits for this connection without having sent a frame. */
  awaits(connection: Connection): boolean
  /** Nothing of the frame is pending any more. */
  frameDone(frame: Frame): void
  frameSplit(): void
  /** Nobody answers at this connection's address. */
  unreachable(connection: Connection): void
  /** The frame's place in the session. */
  placeOf(frame: Frame): FramePlace
  /** What the frame carries as its lineage; empty: none. */
  lineageOf(partition: number): string
}
