// What stands between grpc-js and every handler: a server interceptor that
//
//   - refuses compressed requests before a byte of them is inflated;
//   - refuses new calls while the daemon is going down;
//   - makes every status well-formed, short and explained, also those that grpc-js makes by itself (a passed
//     deadline, a message over the limit, bytes that are no message);
//   - counts calls and messages;
//   - lets a handler stop reading (`CallGuard.of(call.metadata)`), which bounds what one stream can pile up;
//   - counts what of messages has come and is not taken, and gives up what is too much or too slow (arrival.ts);
//   - counts open calls, and refuses those of a connection that has too many (open-calls.ts);
//   - refuses large metadata, which would be held as long as the call is open: what HTTP/2 has a setting for binds only
//     who has confirmed it;
//   - refuses messages that were not decoded because they have too many entries (message-bounds.ts);
//   - counts the answers of unary calls until the client takes them (streams count their own);
//   - ends calls whose answers are not taken, when much is held (answer-pace.ts).
//
// Seven things of grpc-js are used that its types keep private, each guarded by a test: the encoding of a request
// (`incomingEncoding`), that its own errors go through `sendStatus` of the call object, that what arrives goes
// through `decoder.write`, that what is sent goes through `serializeMessage`, the HTTP/2 stream of a call, the list of
// its metadata, and the queue of messages that were not read.

import { constants } from "node:http2"
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js"
import { ERROR_DETAILS_KEY, errorTable, type Reason } from "@varve/proto"
import type { Log } from "../log.ts"
import type { CallMetrics } from "../metrics/call-metrics.ts"
import { countError } from "../metrics/error-metrics.ts"
import type { Admission } from "./admission.ts"
import { AnswerPace, type AnswerPaces } from "./answer-pace.ts"
import { Arrival, type ArrivalRefusal, type Arrivals, type MessageDecoder } from "./arrival.ts"
import { statusOf, statusText } from "./failure.ts"
import type { Inflight } from "./inflight.ts"
import { RefusedMessage } from "./message-bounds.ts"
import type { OpenCalls } from "./open-calls.ts"

type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0]
type CallStatus = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0]

/** What a guard works with. */
export interface GuardHost {
  readonly metrics: CallMetrics
  readonly admission: Pick<Admission, "open">
  /** Answers that are not taken yet. */
  readonly inflight: Inflight
  /** Messages that are still arriving. */
  readonly arrivals: Arrivals
  readonly openCalls: OpenCalls
  readonly paces: AnswerPaces
  readonly log: Log
}

/** The parts of grpc-js's call object that its types keep private. */
interface PrivateCall {
  readonly metadata: { readonly internalRepr: ReadonlyMap<string, readonly (string | Buffer)[]> }
  readonly incomingEncoding: unknown
  readonly decoder: MessageDecoder
  readonly readQueue: unknown[]
  readonly stream: {
    readonly session?: object
    readonly destroyed: boolean
    readonly headersSent: boolean
    once(event: "close" | "wantTrailers", listener: () => void): unknown
    close(code?: number): void
  }
  serializeMessage(message: unknown): Buffer
}

/** Metadata of a call, names and values. Other servers take 8 to 16 KiB. */
const HEADER_BYTES_MAX = 8 * 1024

type GuardedMethod = Pick<Parameters<ServerInterceptor>[0], "path" | "requestStream" | "responseStream">

const guards = new WeakMap<Metadata, CallGuard>()

export class CallGuard extends ServerInterceptingCall {
  readonly #next: ServerInterceptingCallInterface
  readonly #host: GuardHost
  readonly #metrics: CallMetrics
  readonly #path: string
  readonly #startedMs = performance.now()
  readonly #refused: boolean
  #ended = false
  #readingPaused = false
  #readWanted = false
  readonly #arrival: Arrival
  readonly #pace: AnswerPace
  readonly #stream: PrivateCall["stream"]
  #answerBytes = 0

  constructor(
    next: ServerInterceptingCallInterface,
    { path, requestStream, responseStream }: GuardedMethod,
    host: GuardHost,
  ) {
    super(next)
    const { metrics } = host
    this.#next = next
    this.#path = path
    this.#host = host
    this.#metrics = metrics
    metrics.started(path)
    const send = next.sendStatus.bind(next)
    next.sendStatus = (raw: CallStatus): void => {
      const explained = explainStatus(raw)
      this.#end(explained.code ?? status.UNKNOWN)
      send(explained)
    }
    const call = next as unknown as PrivateCall
    this.#stream = call.stream
    // Without a connection it is cancelled already.
    const connection = call.stream.session ?? call.stream
    this.#arrival = new Arrival(host.arrivals, connection, call.decoder, !requestStream, (why) =>
      this.#giveUp(why, call),
    )
    this.#pace = new AnswerPace(host.paces, () => this.#giveUpAnswers(call))
    this.#watchAnswers(call, !responseStream)
    const refusal = this.#refusalOf(call)
    this.#refused = refusal !== undefined
    if (refusal === undefined) return
    this.#arrival.end()
    next.sendStatus(refusal)
    // The client need not send the rest, and the stream need not wait for it.
    call.stream.close()
  }

  /** The guard of the call that came with `metadata`; undefined when the call did not pass one. */
  static of(metadata: Metadata): CallGuard | undefined {
    return guards.get(metadata)
  }

  /** No further message is read from the peer until `resumeReading`; one that is on its way still comes. */
  pauseReading(): void {
    this.#readingPaused = true
  }

  resumeReading(): void {
    this.#readingPaused = false
    if (!this.#readWanted) return
    this.#readWanted = false
    this.#arrival.resume()
    this.#next.startRead()
  }

  override start(listener: Listener): void {
    if (this.#refused) return
    this.#next.start({
      onReceiveMetadata: (metadata) => {
        guards.set(metadata, this)
        listener.onReceiveMetadata(metadata)
      },
      onReceiveMessage: (message) => {
        this.#metrics.received(this.#path)
        this.#arrival.read()
        if (message instanceof RefusedMessage) this.#next.sendStatus(refusal(message.reason, message.text))
        else listener.onReceiveMessage(message)
      },
      onReceiveHalfClose: () => {
        this.#arrival.end()
        listener.onReceiveHalfClose()
      },
      onCancel: () => {
        this.#arrival.end()
        this.#countAnswer(0)
        this.#end(status.CANCELLED)
        listener.onCancel()
      },
    })
  }

  override startRead(): void {
    if (this.#readingPaused) {
      this.#readWanted = true
      this.#arrival.pause()
    } else this.#next.startRead()
  }

  override sendMetadata(metadata: Metadata): void {
    this.#next.sendMetadata(metadata)
  }

  override sendMessage(message: unknown, callback: () => void): void {
    // Behind the status grpc-js would write it all the same, and the client would never see an end.
    if (this.#ended) return
    this.#metrics.sent(this.#path)
    this.#pace.sending()
    this.#next.sendMessage(message, () => {
      this.#pace.taken()
      this.#countAnswer(0)
      callback()
    })
  }

  override sendStatus(callStatus: CallStatus): void {
    this.#next.sendStatus(callStatus)
  }

  /** Counts the call as open until its stream is gone. @returns why it is not taken */
  #refusalOf({ incomingEncoding, stream, metadata }: PrivateCall): CallStatus | undefined {
    const { admission, openCalls } = this.#host
    // Without a connection it is cancelled already.
    const connection = stream.session
    const isTaken = connection === undefined || openCalls.begin(connection)
    if (connection !== undefined) stream.once("close", () => openCalls.end(connection))
    stream.once("close", () => this.#pace.end())
    if (incomingEncoding !== "identity") {
      return refusal("UNIMPLEMENTED", `compressed requests (grpc-encoding ${incomingEncoding}) are not taken`)
    }
    const headerBytes = headerBytesOf(metadata)
    if (headerBytes > HEADER_BYTES_MAX) {
      return refusal(
        "REQUEST_INVALID",
        `the call's metadata has ${headerBytes} bytes; at most ${HEADER_BYTES_MAX} are taken`,
      )
    }
    if (!admission.open) return refusal("SHUTTING_DOWN", "the daemon is going down")
    if (isTaken) return undefined
    return refusal(
      "OVERLOADED",
      `${openCalls.count} calls are open, too many of them on this connection (setting limits.inflightBytesMax)`,
    )
  }

  #giveUp(why: ArrivalRefusal, call: PrivateCall): void {
    // What waits to be read is decoded already, and held as long as the stream is.
    call.readQueue.length = 0
    const { inflight, looks } = this.#host.arrivals
    // Then the status goes out as trailers, behind the answers; Node sends them with `setImmediate`.
    const hasAnswered = call.stream.headersSent
    this.#next.sendStatus(
      why === "full"
        ? refusal(
            "OVERLOADED",
            `more than ${inflight.bytesMax} bytes of messages are arriving, too much of it on this connection (setting limits.inflightBytesMax)`,
          )
        : refusal(
            "DEADLINE_PASSED",
            `the request did not come within ${looks.waitMs / 1000} s, and as much again for each MiB (setting limits.handshakeSeconds)`,
          ),
    )
    // Who is slow may never end its side: then the call would stay open, and keep its place on the connection.
    if (why === "full") return
    const close = (): void => call.stream.close()
    if (hasAnswered) call.stream.once("wantTrailers", () => setImmediate(close))
    else close()
  }

  /**
   * What is not sent yet goes before any status: the client can be told with a code of HTTP/2 only,
   * RESOURCE_EXHAUSTED in gRPC.
   */
  #giveUpAnswers(call: PrivateCall): void {
    countError("OVERLOADED")
    this.#host.log.warn("answers-not-taken", "a call was ended: its client does not take its answers", {
      path: this.#path,
      seconds: this.#host.arrivals.looks.waitMs / 1000,
      inflightBytes: this.#host.inflight.bytes,
    })
    this.#end(status.RESOURCE_EXHAUSTED)
    call.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }

  #watchAnswers(call: PrivateCall, isUnary: boolean): void {
    const serialize = call.serializeMessage.bind(call)
    call.serializeMessage = (message) => {
      const bytes = serialize(message)
      this.#pace.measured(bytes.length)
      if (isUnary) this.#countAnswer(bytes.length)
      return bytes
    }
  }

  #countAnswer(bytes: number): void {
    this.#host.inflight.add(bytes - this.#answerBytes)
    this.#answerBytes = bytes
  }

  #end(code: number): void {
    if (this.#ended) return
    this.#ended = true
    // A status waits behind answers that are not taken: these are watched until the stream is gone.
    if (this.#stream.destroyed) this.#pace.end()
    this.#metrics.handled(this.#path, code, (performance.now() - this.#startedMs) / 1000)
  }
}

/** The interceptor that puts a guard before every call. */
export function guardCalls(host: GuardHost): ServerInterceptor {
  return (method, call) => new CallGuard(call, method, host)
}

function headerBytesOf({ internalRepr }: PrivateCall["metadata"]): number {
  let bytes = 0
  for (const [name, values] of internalRepr) for (const value of values) bytes += name.length + value.length
  return bytes
}

function refusal(reason: Reason, message: string): CallStatus {
  countError(reason)
  return statusOf({ code: errorTable[reason].code, reason, message: statusText(message), metadata: {} })
}

/** What grpc-js says of a request that it does not take: "Received message larger than max (20000023 vs 16777216)". */
function tooLargeText(text: string): string {
  const [, bytes, bytesMax] = /larger than max \((\d+) vs\.? (\d+)\)/.exec(text) ?? []
  if (bytes === undefined) return `${text}, in bytes (setting limits.messageBytesMax)`
  return `the request has ${bytes} bytes; at most ${bytesMax} are taken (setting limits.messageBytesMax)`
}

/** `raw` as it may go out: text bounded, and a reason for what grpc-js says by itself. */
function explainStatus(raw: CallStatus): CallStatus {
  if (raw.code === status.OK) return raw
  const text = statusText(raw.details ?? "")
  if ((raw.metadata?.get(ERROR_DETAILS_KEY).length ?? 0) > 0) return { ...raw, details: text }
  switch (raw.code) {
    case status.DEADLINE_EXCEEDED:
      return refusal("DEADLINE_PASSED", "the deadline passed before the answer was ready")
    case status.RESOURCE_EXHAUSTED:
      return refusal("MESSAGE_TOO_LARGE", tooLargeText(text))
    case status.INTERNAL:
      if (text === "Error deserializing request") {
        return refusal("REQUEST_INVALID", "the request's bytes are no message of this call")
      }
      if (text.startsWith("Invalid grpc-timeout")) return refusal("REQUEST_INVALID", text)
      return { ...raw, details: text }
    case status.UNIMPLEMENTED:
      if (text.startsWith("Received no request message")) {
        return refusal("REQUEST_INVALID", "the call ended before its request was whole")
      }
      if (text.startsWith("Received a second request message")) {
        return refusal("REQUEST_INVALID", "the call takes one request, and more came")
      }
      return { ...raw, details: text }
    default:
      return { ...raw, details: text }
  }
}
