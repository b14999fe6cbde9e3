// Figures of the shards' threads: whether they are up, and how often they had to be started again.

import { Counter, Gauge, type Registry } from "prom-client"

interface MeasuredShards {
  readonly states: readonly {
    readonly index: number
    readonly isUp: boolean
    readonly restartCount: number
  }[]
}

/** Registers the states of `shards`. */
export function registerShardMetrics(registry: Registry, shards: MeasuredShards): void {
  const labelNames = ["shard"] as const
  const registers = [registry]
  new Gauge({
    name: "varve_shard_up",
    help: "1 while the shard serves its partitions. Alert on 0: calls on them fail until it is back.",
    labelNames,
    registers,
    collect() {
      for (const { index, isUp } of shards.states) this.set({ shard: String(index) }, isUp ? 1 : 0)
    },
  })
  new Counter({
    name: "varve_shard_restarts_total",
    help: "How often the shard was started again after it had died. Alert on its increase; the log names the cause of each.",
    labelNames,
    registers,
    collect() {
      this.reset()
      for (const { index, restartCount } of shards.states) this.inc({ shard: String(index) }, restartCount)
    },
  })
}
