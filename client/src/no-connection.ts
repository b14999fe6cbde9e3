// The error of a call that waited for a connection in vain.

import { VarveError } from "@varve/proto"
import type { Connection } from "./connection.ts"

/** Says which limit passed and why there is no connection; the call was not sent. */
export function noConnection(
  connection: Connection,
  call: { readonly deadlineAt: number; readonly deadlineMs: number },
  settings: { readonly connectDeadlineMs: number },
): VarveError {
  const limit =
    performance.now() < call.deadlineAt && settings.connectDeadlineMs < call.deadlineMs
      ? `there was no connection within ${settings.connectDeadlineMs} ms (connectDeadlineMs)`
      : `the deadline of ${call.deadlineMs} ms passed`
  return deadlinePassed(connection, `${limit}; the call was not sent`)
}

/** `DEADLINE_PASSED` with `message`, and what is wrong with the connection. */
export function deadlinePassed(connection: Connection, message: string): VarveError {
  const { trouble } = connection
  const because = trouble === undefined ? "" : ` (${connection.address}: ${trouble.message})`
  return new VarveError("DEADLINE_PASSED", `${message}${because}`, { cause: trouble })
}
