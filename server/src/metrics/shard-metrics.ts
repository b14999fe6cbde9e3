// Figures of the shards' threads: whether they are up, and how often they had to be started again.

import type { Registry } from "prom-client"
import { registerLabelledReadMetric } from "./read-metrics.ts"

interface MeasuredShards {
  /** The same ones each time, in the same order. */
  readonly states: readonly {
    readonly index: number
    readonly isUp: boolean
    readonly restartCount: number
  }[]
}

/** Registers the states of `shards`. */
export function registerShardMetrics(registry: Registry, shards: MeasuredShards): void {
  const labels = shards.states.map(({ index }) => ({ shard: String(index) }))
  registerLabelledReadMetric(registry, {
    name: "varve_shard_up",
    help: "1 while the shard serves its partitions. Alert on 0: calls on them fail until it is back.",
    type: "gauge",
    labels,
    read: () => shards.states.map(({ isUp }) => (isUp ? 1 : 0)),
  })
  registerLabelledReadMetric(registry, {
    name: "varve_shard_restarts_total",
    help: "How often the shard was started again after it had died. Alert on its increase; the log names the cause of each.",
    type: "counter",
    labels,
    read: () => shards.states.map(({ restartCount }) => restartCount),
  })
}
