// Figures of what a shard has handed on to others.

import { Counter, type Registry } from "prom-client"

/** Registers the calls that `peers` were given. */
export function registerForwardingMetrics(
  registry: Registry,
  peers: readonly { readonly callCount: number }[],
): void {
  new Counter({
    name: "varve_forwarded_calls_total",
    help: "Calls and frames that came to another shard than their partition's. Many: clients do not go by Describe.",
    registers: [registry],
    collect() {
      this.reset()
      this.inc(peers.reduce((sum, { callCount }) => sum + callCount, 0))
    },
  })
}
