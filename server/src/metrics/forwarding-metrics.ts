// Figures of what a shard has handed on to others.

import type { Registry } from "prom-client"
import { registerReadMetric } from "./read-metrics.ts"

/** Registers the calls that `peers` were given. */
export function registerForwardingMetrics(
  registry: Registry,
  peers: readonly { readonly callCount: number }[],
): void {
  registerReadMetric(registry, {
    name: "varve_forwarded_calls_total",
    help: "Calls and frames that came to another shard than their partition's. Many: clients do not go by Describe.",
    type: "counter",
    read: () => peers.reduce((sum, { callCount }) => sum + callCount, 0),
  })
}
