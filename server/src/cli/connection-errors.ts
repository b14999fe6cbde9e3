// What grpc-js says about connections and deadlines, in the words of the command line. Errors that a daemon
// answered are left as they are.

import { isVarveError, VarveError } from "@varve/proto"

/** Whether a command changes anything: only then it matters whether its call was carried out. */
export type Effect = "reads" | "writes"

const NOT_SENT = /^No connection established|^Name resolution failed/
const OTHER_PROTOCOL = /Protocol error/i
/** Causes that say no more than that nobody is there. */
const NOBODY = /ECONNREFUSED|ENOENT/

/** Runs `work`, a call to the daemon at `address`. @throws (rejects) what `work` does, put into words */
export async function withExplanation<Result>(
  { address, effect }: { address: string; effect: Effect },
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw isVarveError(error) ? explain(error, address, effect) : error
  }
}

/** The error for people. The reason stays. */
export function explain(error: VarveError, address: string, effect: Effect): VarveError {
  const message = messageFor(error, address, effect === "writes")
  if (message === error.message) return error
  return new VarveError(error.reason, message, { code: error.code, metadata: error.metadata, cause: error })
}

function messageFor({ reason, message }: VarveError, address: string, writes: boolean): string {
  const doubt = writes ? "; the call may or may not have been applied" : ""
  if (reason === "CONNECTION_LOST") {
    if (!NOT_SENT.test(message)) return `${withoutNote(message)}${doubt}`
    if (OTHER_PROTOCOL.test(message)) {
      return `this is not the gRPC port: what listens at ${address} speaks another protocol`
    }
    return (
      `no daemon answers at ${address}${causeOf(message)}; ` +
      'start one with "varve serve", or name another with --address'
    )
  }
  // Only grpc-js words it so: this side gave up. While it had no connection, nothing was sent.
  if (reason === "DEADLINE_PASSED" && message.startsWith("Deadline exceeded")) {
    const waited = /after ([\d.]+)s/.exec(message)?.[1]
    const time = waited === undefined ? "in time" : `within ${Math.round(Number(waited))} s`
    return `no answer from ${address} ${time}${message.includes("Waiting for LB pick") ? "" : doubt}`
  }
  return message
}

function causeOf(message: string): string {
  if (NOBODY.test(message)) return ""
  if (message.startsWith("Name resolution failed")) return " (there is no host of this name)"
  const cause = /Last error: (?:Error: )?(.+)/.exec(withoutNote(message))?.[1]
  return cause === undefined ? "" : ` (${cause})`
}

function withoutNote(message: string): string {
  return message.replace(/[.\s]*Resolution note:\s*$/, "")
}
