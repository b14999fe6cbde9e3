// The error of a call that waited for a connection in vain.

import { VarveError } from "@varve/proto"
import type { Connection } from "./connection.ts"

/** What grpc-js says of a port or a socket at which nobody listens. */
const NOBODY = /ECONNREFUSED|ENOENT/
/** And of a peer that answers something else than HTTP/2. */
const OTHER_PROTOCOL = /Protocol error/i

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

/** `DEADLINE_PASSED` with `message`, what is wrong with the connection, and what to look at. */
export function deadlinePassed(
  { address, trouble }: Pick<Connection, "address" | "trouble">,
  message: string,
): VarveError {
  const because =
    trouble === undefined ? "" : ` (${address}: ${trouble.message}${remedyFor(address, trouble.message)})`
  return new VarveError("DEADLINE_PASSED", `${message}${because}`, { cause: trouble })
}

function remedyFor(address: string, trouble: string): string {
  if (OTHER_PROTOCOL.test(trouble)) {
    return "; this is no gRPC port: gRPC is at 7400 and HTTP at 7480 unless set otherwise"
  }
  if (!NOBODY.test(trouble)) return ""
  const port = address.startsWith("unix:") ? "" : ", at port 7400 unless set otherwise"
  return `; is the daemon running? "varve serve" starts one${port}`
}
