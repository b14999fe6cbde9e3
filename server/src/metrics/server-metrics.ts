// Figures of the gRPC server itself: how near it is to its limits.

import { Gauge, type Registry } from "prom-client"

/** Registers connections and bytes in flight. */
export function registerServerMetrics(
  registry: Registry,
  server: { readonly connectionCount: number },
  inflight: { readonly bytes: number; readonly bytesMax: number },
): void {
  const gauge = (name: string, help: string, of: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(of())
      },
    })
  }
  gauge(
    "varve_connections",
    "Open gRPC connections; at limits.connectionsMax new ones are closed.",
    () => server.connectionCount,
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
}
