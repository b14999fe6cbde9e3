// What stands between grpc-js and every handler: a server interceptor that
//
//   - refuses compressed requests before a byte of them is inflated;
//   - refuses new calls while the daemon is going down;
//   - makes every status well-formed, short and explained, also those that grpc-js makes by itself (a passed
//     deadline, a message over the limit, bytes that are no message);
//   - counts calls and messages;
//   - lets a handler stop reading (`CallGuard.of(call.metadata)`), which bounds what one stream can pile up;
//   - counts the bytes of messages that have not come in whole, and refuses more of them than the limit;
//   - counts the answers of unary calls until the client takes them (streams count their own).
//
// Four things of grpc-js are used that its types keep private, each guarded by a test: the encoding of a request
// (`incomingEncoding`), that its own errors go through `sendStatus` of the call object, that what arrives goes
// through `decoder.write`, and that what is sent goes through `serializeMessage`.

import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js"
import { ERROR_DETAILS_KEY, errorTable, type Reason } from "@varve/proto"
import type { CallMetrics } from "../metrics/call-metrics.ts"
import type { Admission } from "./admission.ts"
import { statusOf, statusText } from "./failure.ts"
import type { Inflight } from "./inflight.ts"

type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0]
type CallStatus = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0]

/** What a guard works with. */
export interface GuardHost {
  readonly metrics: CallMetrics
  readonly admission: Pick<Admission, "open">
  /** Answers that are not taken yet. */
  readonly inflight: Inflight
  /** Messages that are still arriving: their own limit, so that they do not hold up whole ones. */
  readonly arriving: Inflight
}

/** What a piece of a message costs besides its bytes: a peer may send it byte by byte. */
const PIECE_OVERHEAD_BYTES = 128

/** The parts of grpc-js's call object that its types keep private. */
interface PrivateCall {
  readonly incomingEncoding: unknown
  readonly decoder: {
    write(bytes: Buffer): Buffer[]
    readonly readMessageRemaining: number
    readPartialMessage: Buffer[]
  }
  serializeMessage(message: unknown): Buffer
}

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
  #arrivingBytes = 0
  #answerBytes = 0

  constructor(
    next: ServerInterceptingCallInterface,
    path: string,
    answersWithStream: boolean,
    host: GuardHost,
  ) {
    super(next)
    const { metrics, admission } = host
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
    this.#watchArrival(call)
    if (!answersWithStream) this.#watchAnswer(call)
    const encoding = call.incomingEncoding
    this.#refused = encoding !== "identity" || !admission.open
    if (encoding !== "identity") {
      next.sendStatus(
        refusal("UNIMPLEMENTED", `compressed requests (grpc-encoding ${encoding}) are not taken`),
      )
    } else if (!admission.open) {
      next.sendStatus(refusal("SHUTTING_DOWN", "the daemon is going down"))
    }
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
        listener.onReceiveMessage(message)
      },
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      onCancel: () => {
        this.#countArriving(0)
        this.#countAnswer(0)
        this.#end(status.CANCELLED)
        listener.onCancel()
      },
    })
  }

  override startRead(): void {
    if (this.#readingPaused) this.#readWanted = true
    else this.#next.startRead()
  }

  override sendMetadata(metadata: Metadata): void {
    this.#next.sendMetadata(metadata)
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#metrics.sent(this.#path)
    this.#next.sendMessage(message, () => {
      this.#countAnswer(0)
      callback()
    })
  }

  override sendStatus(callStatus: CallStatus): void {
    this.#next.sendStatus(callStatus)
  }

  /** Counts what arrives until it is a whole message. Above the limit the call is refused and drops the rest. */
  #watchArrival({ decoder }: PrivateCall): void {
    const { arriving } = this.#host
    const write = decoder.write.bind(decoder)
    let isDropped = false
    decoder.write = (bytes) => {
      if (isDropped || this.#refused) return []
      const messages = write(bytes)
      if (decoder.readMessageRemaining === 0) {
        this.#countArriving(0)
        return messages
      }
      const before = messages.length === 0 ? this.#arrivingBytes : 0
      this.#countArriving(before + bytes.length + PIECE_OVERHEAD_BYTES)
      if (arriving.bytes > arriving.bytesMax) {
        isDropped = true
        decoder.readPartialMessage = []
        this.#countArriving(0)
        this.#next.sendStatus(
          refusal(
            "OVERLOADED",
            `more than ${arriving.bytesMax} bytes of unfinished messages are arriving (setting limits.inflightBytesMax)`,
          ),
        )
      }
      return messages
    }
  }

  #watchAnswer(call: PrivateCall): void {
    const serialize = call.serializeMessage.bind(call)
    call.serializeMessage = (message) => {
      const bytes = serialize(message)
      this.#countAnswer(bytes.length)
      return bytes
    }
  }

  #countArriving(bytes: number): void {
    this.#host.arriving.add(bytes - this.#arrivingBytes)
    this.#arrivingBytes = bytes
  }

  #countAnswer(bytes: number): void {
    this.#host.inflight.add(bytes - this.#answerBytes)
    this.#answerBytes = bytes
  }

  #end(code: number): void {
    if (this.#ended) return
    this.#ended = true
    this.#metrics.handled(this.#path, code, (performance.now() - this.#startedMs) / 1000)
  }
}

/** The interceptor that puts a guard before every call. */
export function guardCalls(host: GuardHost): ServerInterceptor {
  return (method, call) => new CallGuard(call, method.path, method.responseStream, host)
}

function refusal(reason: Reason, message: string): CallStatus {
  return statusOf({ code: errorTable[reason].code, reason, message: statusText(message), metadata: {} })
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
      return refusal("MESSAGE_TOO_LARGE", `${text}, in bytes (setting limits.messageBytesMax)`)
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
