// Refuses calls on records while the thread is overloaded, before grpc-js makes anything of them:
//
//   HTTP/2 ── a place is free ──► EarlyRefusal ── Overload: taken ──► grpc-js
//     │                              ├─ refused        an answer of one frame, whose headers were made once: OVERLOADED
//     │                              └─ above share    the same, and its place is held (held-places.ts)
//     └─ none is free: refused by HTTP/2, without a word of why
//
// Of grpc-js the method that takes a stream from HTTP/2 is used, and the options with which it makes HTTP/2 servers; its types
// keep both private. A test guards that they are still the ones.

import { strict as assert } from "node:assert"
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import { type Server, status } from "@grpc/grpc-js"
import { ERROR_DETAILS_KEY, errorTable } from "@varve/proto"
import type { CallMetrics } from "../metrics/call-metrics.ts"
import { countErrors } from "../metrics/error-metrics.ts"
import { statusOf } from "./failure.ts"
import { HeldPlaces } from "./held-places.ts"
import type { OpenCalls } from "./open-calls.ts"
import { Overload } from "./overload.ts"

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

/** What of HTTP/2's options grpc-js has no channel option for. */
interface ServerOptionsHolder {
  readonly commonServerOptions: { maxSessionRejectedStreams?: number }
}

/** Refusals by HTTP/2 that a connection survives: as many as there may be. They cost less than anything else it could send. */
const REJECTED_STREAMS_MAX = 2 ** 32 - 1
/** Of the calls that may be open: held places cost as much, at most. */
const HELD_PART = 2
/** How often it is looked whether the overload has ended with the last call. */
const IDLE_CHECK_MS = 500

/** Stands between HTTP/2 and grpc-js. */
export class EarlyRefusal {
  readonly overload: Overload
  readonly #places: HeldPlaces
  readonly #paths: ReadonlySet<string>
  readonly #metrics: CallMetrics
  readonly #idleCheck: NodeJS.Timeout
  /** Refused in this turn; of most of them the request comes whole with the same read. */
  readonly #unfinished: ServerHttp2Stream[] = []
  readonly #answer = refusalHeaders()
  #isStopped = false

  /**
   * To be made before `server` has connections.
   * @param paths of the calls that may be refused; all others are taken, unless HTTP/2 refuses them
   * @param callsMax that a connection can have open
   */
  constructor(
    server: Server,
    paths: ReadonlySet<string>,
    callsMax: number,
    openCalls: OpenCalls,
    metrics: CallMetrics,
  ) {
    this.#paths = paths
    this.#metrics = metrics
    this.#places = new HeldPlaces(callsMax, openCalls.callsMax / HELD_PART)
    this.overload = new Overload((shares) => {
      if (shares === undefined) this.#places.releaseAll()
      else this.#places.fit(shares.share, (connection) => openCalls.of(connection) - shares.of(connection))
    })
    this.#idleCheck = setInterval(() => this.overload.noticeIdleness(), IDLE_CHECK_MS)
    this.#idleCheck.unref()
    const { commonServerOptions } = server as unknown as ServerOptionsHolder
    assert(
      typeof commonServerOptions === "object",
      "this version of grpc-js makes HTTP/2 servers in another way",
    )
    commonServerOptions.maxSessionRejectedStreams = REJECTED_STREAMS_MAX
    const taker = server as unknown as StreamTaker
    const take = taker._streamHandler
    assert(typeof take === "function", "this version of grpc-js takes streams in another way")
    const takes = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean =>
      this.#takes(stream, headers)
    taker._streamHandler = function (interceptors, stream, headers): void {
      if (takes(stream, headers)) take.call(this, interceptors, stream, headers)
    }
  }

  /** Holds nothing more that would keep connections from ending. */
  stop(): void {
    this.#isStopped = true
    clearInterval(this.#idleCheck)
    this.#places.releaseAll()
  }

  #takes(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    this.#countRefusedByHttp2(stream)
    const path = headers[":path"]
    const { session } = stream
    if (path === undefined || session === undefined || !this.#paths.has(path)) return true
    const verdict = this.overload.judge(session, timeLeftMs(headers))
    if (verdict === "taken") return true
    this.#refuse(stream, path, verdict === "above share" && !this.#isStopped)
    return false
  }

  #refuse(stream: ServerHttp2Stream, path: string, isHeld: boolean): void {
    this.#metrics.started(path)
    this.#metrics.handled(path, status.RESOURCE_EXHAUSTED, 0)
    countErrors("OVERLOADED", 1)
    // Whatever goes wrong with it, its client is gone.
    stream.on("error", ignore)
    if (stream.destroyed) return
    if (isHeld) this.#places.hold(stream)
    stream.respond(this.#answer, { endStream: true })
    stream.resume()
    if (this.#unfinished.push(stream) === 1) setImmediate(() => this.#closeUnfinished())
  }

  #closeUnfinished(): void {
    // Of the others nothing more is wanted.
    for (const stream of this.#unfinished.splice(0))
      if (!stream.closed) stream.close(constants.NGHTTP2_NO_ERROR)
  }

  #countRefusedByHttp2(stream: ServerHttp2Stream): void {
    const count = this.#places.refusedBefore(stream)
    if (count === 0) return
    this.overload.countRefused(count)
    countErrors("OVERLOADED", count)
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
