// One partition's way to the daemon. Its calls keep their order: reads and writes alternate into separate frames,
// and all its frames go over one connection. It changes to another connection only while it has no frame at all.

import type { Connection } from "./connection.ts"
import type { Frame } from "./frame.ts"

export interface Lane {
  readonly partition: number
  connection: Connection
  /** Takes calls of the present turn; not yet with the connection. */
  openFrame: Frame | undefined
  /** Frames that are not done, the open one included. */
  frameCount: number
}
