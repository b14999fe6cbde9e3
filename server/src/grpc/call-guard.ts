// What stands between grpc-js and every handler: a server interceptor that
//
//   - refuses compressed requests before a byte of them is inflated;
//   - refuses new calls while the daemon is going down;
//   - makes every status well-formed, short and explained, also those that grpc-js makes by itself (a passed
//     deadline, a message over the limit, bytes that are no message);
//   - counts calls and messages;
//   - lets a handler stop reading (`CallGuard.of(call.metadata)`), which bounds what one stream can pile up.
//
// Two things of grpc-js are used that its types keep private, each guarded by a test: the encoding of a
// request (`incomingEncoding`), and that its own errors go through `sendStatus` of the call object.

import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js"
import { ERROR_DETAILS_KEY, errorTable, type Reason } from "@varve/proto"
import type { CallMetrics } from "../metrics/call-metrics.ts"
import { statusOf, statusText } from "./failure.ts"

type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0]
type CallStatus = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0]

/** Whether new calls are taken. */
export interface Admission {
  open: boolean
}

const guards = new WeakMap<Metadata, CallGuard>()

export class CallGuard extends ServerInterceptingCall {
  readonly #next: ServerInterceptingCallInterface
  readonly #metrics: CallMetrics
  readonly #path: string
  readonly #startedMs = performance.now()
  readonly #refused: boolean
  #ended = false
  #readingPaused = false
  #readWanted = false

  constructor(
    next: ServerInterceptingCallInterface,
    path: string,
    metrics: CallMetrics,
    admission: Admission,
  ) {
    super(next)
    this.#next = next
    this.#path = path
    this.#metrics = metrics
    metrics.started(path)
    const send = next.sendStatus.bind(next)
    next.sendStatus = (raw: CallStatus): void => {
      const explained = explainStatus(raw)
      this.#end(explained.code ?? status.UNKNOWN)
      send(explained)
    }
    const encoding = (next as unknown as { incomingEncoding?: unknown }).incomingEncoding
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
    this.#next.sendMessage(message, callback)
  }

  override sendStatus(callStatus: CallStatus): void {
    this.#next.sendStatus(callStatus)
  }

  #end(code: number): void {
    if (this.#ended) return
    this.#ended = true
    this.#metrics.handled(this.#path, code, (performance.now() - this.#startedMs) / 1000)
  }
}

/** The interceptor that puts a guard before every call. */
export function guardCalls(metrics: CallMetrics, admission: Admission): ServerInterceptor {
  return (method, call) => new CallGuard(call, method.path, metrics, admission)
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
    default:
      return { ...raw, details: text }
  }
}
