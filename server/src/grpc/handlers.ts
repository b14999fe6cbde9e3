// The one wrapper around every handler: nothing that a handler throws or rejects with ends the process.

import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type ServerDuplexStream,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js"
import type { Log } from "../log.ts"
import { CallGuard } from "./call-guard.ts"
import { failureOf, statusOf } from "./failure.ts"

/**
 * A handler of a unary call. `work` may answer at once: what is in memory needs no promise. It is told until when
 * somebody waits, in milliseconds since 1970; infinite: for ever.
 */
export function unary<Request, Response>(
  log: Log,
  work: (request: Request, deadlineMs: number) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    // Cancelled or past its deadline before its turn came: nothing is done.
    if (call.cancelled) return
    try {
      const result = work(call.request, Number(call.getDeadline()))
      if (result instanceof Promise) {
        result.then(
          (response) => callback(null, response),
          (error: unknown) => callback(statusOf(failureOf(error, log))),
        )
      } else {
        callback(null, result)
      }
    } catch (error) {
      callback(statusOf(failureOf(error, log)))
    }
  }
}

/** A handler of a call that answers with a stream; the stream ends when `work` resolves. */
export function serverStream<Request, Response>(
  log: Log,
  work: (call: ServerWritableStream<Request, Response>) => Promise<void>,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    runStream(log, call, () => work(call))
  }
}

/** A handler of a two-way stream; the stream ends when `work` resolves. */
export function duplexStream<Request, Response>(
  log: Log,
  work: (call: ServerDuplexStream<Request, Response>) => Promise<void>,
): handleBidiStreamingCall<Request, Response> {
  return (call) => {
    runStream(log, call, () => work(call))
  }
}

interface EndingStream {
  readonly cancelled: boolean
  readonly destroyed: boolean
  readonly metadata: Metadata
  end(): unknown
  emit(event: "error", error: unknown): boolean
}

function runStream(log: Log, call: EndingStream, work: () => Promise<void>): void {
  // A handler may have destroyed the stream object (leaving a `for await` over it does); the status then has to
  // go past it, or the client would wait for ever.
  const fail = (error: unknown): void => {
    if (call.cancelled) return
    const callStatus = statusOf(failureOf(error, log))
    if (call.destroyed) CallGuard.of(call.metadata)?.sendStatus(callStatus)
    else call.emit("error", callStatus)
  }
  const succeed = (): void => {
    if (call.cancelled) return
    if (call.destroyed) CallGuard.of(call.metadata)?.sendStatus({ code: status.OK, details: "OK" })
    else call.end()
  }
  try {
    work().then(succeed, fail)
  } catch (error) {
    fail(error)
  }
}
