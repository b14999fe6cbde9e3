// Refuses calls on records while the thread is overloaded, before grpc-js makes anything of them: an answer of one
// frame, whose headers were made once. Measured: 25 µs of processor time, a whole `Get` takes 75 (test/bench/README.md).
//
// Of grpc-js the method that takes a stream from HTTP/2 is used, which its types keep private (`_streamHandler`); a test
// guards that it is still the one.

import { strict as assert } from "node:assert"
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import { type Server, status } from "@grpc/grpc-js"
import { ERROR_DETAILS_KEY, errorTable } from "@varve/proto"
import type { CallMetrics } from "../metrics/call-metrics.ts"
import { countError } from "../metrics/error-metrics.ts"
import { statusOf } from "./failure.ts"
import type { Overload } from "./overload.ts"

const TEXT = "calls wait for too long on this thread: more of them come than are done"

/** Units of the header grpc-timeout. */
const unitsMs = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
  ["m", 1],
  ["u", 1e-3],
  ["n", 1e-6],
])

/** The part of grpc-js's server that takes streams. */
interface StreamTaker {
  _streamHandler(
    interceptors: readonly unknown[],
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ): void
}

/**
 * Has `server` ask `overload` first. To be called before it has connections.
 * @param paths of the calls that may be refused; all others are taken as ever
 */
export function refuseEarly(
  server: Server,
  paths: ReadonlySet<string>,
  overload: Overload,
  metrics: CallMetrics,
): void {
  const taker = server as unknown as StreamTaker
  const take = taker._streamHandler
  assert(typeof take === "function", "this version of grpc-js takes streams in another way")
  const answer = refusalHeaders()
  /** Refused in this turn; of most of them the request comes whole with the same read. */
  const unfinished: ServerHttp2Stream[] = []
  const closeUnfinished = (): void => {
    // Of the others nothing more is wanted.
    for (const stream of unfinished.splice(0)) if (!stream.closed) stream.close(constants.NGHTTP2_NO_ERROR)
  }
  taker._streamHandler = function (interceptors, stream, headers): void {
    const path = headers[":path"]
    if (path === undefined || !paths.has(path) || !overload.refuses(timeLeftMs(headers))) {
      take.call(this, interceptors, stream, headers)
      return
    }
    metrics.started(path)
    metrics.handled(path, status.RESOURCE_EXHAUSTED, 0)
    countError("OVERLOADED")
    // Whatever goes wrong with it, its client is gone.
    stream.on("error", ignore)
    if (stream.destroyed) return
    stream.respond(answer, { endStream: true })
    stream.resume()
    if (unfinished.push(stream) === 1) setImmediate(closeUnfinished)
  }
}

/** Of a header that is no timeout, grpc-js says so. */
function timeLeftMs(headers: IncomingHttpHeaders): number {
  const timeout = headers["grpc-timeout"]
  if (typeof timeout !== "string") return Number.POSITIVE_INFINITY
  const unitMs = unitsMs.get(timeout.slice(-1))
  return unitMs === undefined ? Number.POSITIVE_INFINITY : Number(timeout.slice(0, -1)) * unitMs
}

function ignore(): void {
  // Nothing is owed to it any more.
}

function refusalHeaders(): Record<string, string | number> {
  const { code } = errorTable.OVERLOADED
  const { details, metadata } = statusOf({ code, reason: "OVERLOADED", message: TEXT, metadata: {} })
  const [trailer] = metadata.get(ERROR_DETAILS_KEY)
  assert(Buffer.isBuffer(trailer), "the reason goes along as bytes")
  return {
    ":status": 200,
    "content-type": "application/grpc+proto",
    "grpc-status": code,
    "grpc-message": encodeURI(details),
    [ERROR_DETAILS_KEY]: trailer.toString("base64"),
  }
}
