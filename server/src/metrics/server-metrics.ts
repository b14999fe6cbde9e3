// Figures of the gRPC server itself: how near it is to its limits, which are those of the daemon, divided by its shards.

import type { Registry } from "prom-client"
import { registerReadMetric } from "./read-metrics.ts"

/** What the server holds now, and how much it may. */
export interface ServerLoad {
  readonly connections: number
  readonly connectionsMax: number
  readonly connectionsRefused: number
  readonly calls: number
  readonly callsMax: number
  /** Calls come faster than they are done, and some are refused for it; how many so far. */
  readonly isOverloaded: boolean
  readonly callsRefused: number
  /** Of messages that are not whole yet, or wait to be read. */
  readonly arrivingBytes: number
  readonly arrivingBytesMax: number
}

/** Registers connections, calls and bytes in flight. */
export function registerServerMetrics(
  registry: Registry,
  server: { readonly load: ServerLoad },
  inflight: { readonly bytes: number; readonly bytesMax: number },
): void {
  const gauge = (name: string, help: string, of: (load: ServerLoad) => number): void =>
    registerReadMetric(registry, { name, help, type: "gauge", read: () => of(server.load) })
  const counter = (name: string, help: string, of: (load: ServerLoad) => number): void =>
    registerReadMetric(registry, { name, help, type: "counter", read: () => of(server.load) })
  gauge("varve_connections", "Open gRPC connections.", ({ connections }) => connections)
  gauge(
    "varve_connections_limit",
    "The setting limits.connectionsMax times the shards: each of them closes further ones.",
    ({ connectionsMax }) => connectionsMax,
  )
  counter(
    "varve_connections_refused_total",
    "Connections closed because there were too many. Alert on its increase: raise limits.connectionsMax, or find who opens them.",
    ({ connectionsRefused }) => connectionsRefused,
  )
  gauge("varve_open_calls", "Open calls, streams among them: each pipeline is one.", ({ calls }) => calls)
  gauge(
    "varve_open_calls_limit",
    "Open calls from which on connections with more than their share are refused further ones (OVERLOADED). It follows limits.inflightBytesMax.",
    ({ callsMax }) => callsMax,
  )
  gauge(
    "varve_overloaded_shards",
    "Shards on which calls come faster than they are done, so that some are refused (OVERLOADED). Above 0 for long: more shards or machines, or pipelines in place of single calls.",
    ({ isOverloaded }) => (isOverloaded ? 1 : 0),
  )
  counter(
    "varve_overload_refusals_total",
    "At least so many calls were refused by shards on which calls come faster than they are done; those that a limit refuses are in varve_errors_total only. Most of these are refused by HTTP/2, before they are calls: grpc_server_handled_total lacks them, and they are counted when the next call comes on their connection, by the numbers of streams that were left out.",
    ({ callsRefused }) => callsRefused,
  )
  gauge(
    "varve_inflight_bytes",
    "Requests being worked on and answers not yet taken. Near varve_inflight_limit_bytes: clients are too slow or too many.",
    () => inflight.bytes,
  )
  gauge(
    "varve_inflight_limit_bytes",
    "The setting limits.inflightBytesMax; above it calls fail with OVERLOADED.",
    () => inflight.bytesMax,
  )
  gauge(
    "varve_arriving_bytes",
    "Requests that have not come whole, or wait to be read. Near varve_arriving_limit_bytes: peers send slowly, or on purpose.",
    ({ arrivingBytes }) => arrivingBytes,
  )
  gauge(
    "varve_arriving_limit_bytes",
    "Most that requests may take that have not come whole or wait to be read, as limits.inflightBytesMax; above it they are given up (OVERLOADED).",
    ({ arrivingBytesMax }) => arrivingBytesMax,
  )
}
