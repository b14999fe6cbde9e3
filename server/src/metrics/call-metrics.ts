// Figures of gRPC calls, named as go-grpc-prometheus names them, so that dashboards made for it work here.
// Calls are counted in plain fields; the registry is filled when somebody asks.

import { boundIndex, noCounts, shortBoundsMs } from "@varve/engines/internal"
import type { Registry } from "prom-client"
import { registerCountedHistogram } from "./counted-histogram.ts"
import { registerLabelledReadMetric } from "./read-metrics.ts"

/** What a service definition of grpc-js says about its methods. */
type ServiceMethods = Readonly<
  Record<string, { readonly path: string; readonly requestStream: boolean; readonly responseStream: boolean }>
>

interface MethodFigures {
  readonly labels: { readonly grpc_type: string; readonly grpc_service: string; readonly grpc_method: string }
  /** By status code. */
  readonly handled: number[]
  /** Of those that have ended, by `shortBoundsMs`. */
  readonly counts: number[]
  sumMs: number
  started: number
  received: number
  sent: number
}

/** Names of the canonical codes 0 to 16. */
const codeNames = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
] as const

const UNKNOWN_CODE = codeNames.indexOf("Unknown")

export class CallMetrics {
  readonly #methods = new Map<string, MethodFigures>()

  /** @param services every service that the server offers */
  constructor(registry: Registry, services: readonly ServiceMethods[]) {
    for (const { path, requestStream, responseStream } of services.flatMap((service) =>
      Object.values(service),
    )) {
      const [, service = "", method = ""] = path.split("/")
      const labels = {
        grpc_type: typeName(requestStream, responseStream),
        grpc_service: service,
        grpc_method: method,
      }
      const times = { counts: noCounts(shortBoundsMs), sumMs: 0 }
      const handled = codeNames.map(() => 0)
      this.#methods.set(path, { labels, handled, ...times, started: 0, received: 0, sent: 0 })
    }
    const methods = [...this.#methods.values()]
    registerCountedHistogram(registry, {
      name: "grpc_server_handling_seconds",
      help: "Time from a call's start to its end. Streams last as long as their clients keep them: look at unary calls.",
      boundsMs: shortBoundsMs,
      labels: methods.map(({ labels }) => labels),
      read: () => methods,
    })
    this.#counter(
      registry,
      "grpc_server_started_total",
      "Calls begun. Its rate is the load in calls.",
      "started",
    )
    this.#counter(
      registry,
      "grpc_server_msg_received_total",
      "Messages from clients. On a pipeline this is the load, not the number of calls.",
      "received",
    )
    this.#counter(registry, "grpc_server_msg_sent_total", "Messages to clients.", "sent")
    registerLabelledReadMetric(registry, {
      name: "grpc_server_handled_total",
      help: "Calls ended, by status. Alert on the rate of Internal, DataLoss and Unavailable.",
      type: "counter",
      labels: methods.flatMap(({ labels }) => codeNames.map((code) => ({ ...labels, grpc_code: code }))),
      read: () => methods.flatMap(({ handled }) => handled),
    })
  }

  started(path: string): void {
    const method = this.#methods.get(path)
    if (method !== undefined) method.started++
  }

  received(path: string): void {
    const method = this.#methods.get(path)
    if (method !== undefined) method.received++
  }

  sent(path: string): void {
    const method = this.#methods.get(path)
    if (method !== undefined) method.sent++
  }

  /** The call ended with status `code` after `seconds`. */
  handled(path: string, code: number, seconds: number): void {
    const method = this.#methods.get(path)
    if (method === undefined) return
    method.handled[code in codeNames ? code : UNKNOWN_CODE]! += 1
    const ms = seconds * 1000
    method.counts[boundIndex(shortBoundsMs, ms)]! += 1
    method.sumMs += ms
  }

  #counter(registry: Registry, name: string, help: string, field: "started" | "received" | "sent"): void {
    const methods = [...this.#methods.values()]
    registerLabelledReadMetric(registry, {
      ...{ name, help, type: "counter" },
      labels: methods.map(({ labels }) => labels),
      read: () => methods.map((method) => method[field]),
    })
  }
}

function typeName(requestStream: boolean, responseStream: boolean): string {
  if (requestStream) return responseStream ? "bidi_stream" : "client_stream"
  return responseStream ? "server_stream" : "unary"
}
