// The figures of all threads as one page: main's own registry and the shard's, merged.

import { AggregatorRegistry, collectDefaultMetrics, Gauge, Registry } from "prom-client"
import { softwareVersion } from "../cli/software-version.ts"
import { registerThreadMetrics } from "../metrics/thread-metrics.ts"
import type { ShardClient } from "../shard/shard-client.ts"

const SHARD_TIMEOUT_MS = 10_000

export class MetricsPage {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #registry = new Registry()
  readonly #shard: ShardClient
  readonly #stopMeasuring: () => void

  constructor(shard: ShardClient) {
    this.#shard = shard
    collectDefaultMetrics({ register: this.#registry })
    this.#stopMeasuring = registerThreadMetrics(this.#registry, "main")
    const build = new Gauge({
      name: "varve_build_info",
      help: "Always 1; its labels tell which version runs.",
      labelNames: ["version", "node"],
      registers: [this.#registry],
    })
    build.set({ version: softwareVersion(), node: process.versions.node }, 1)
  }

  /** The page. @throws (rejects) VarveError when the shard does not answer */
  async text(): Promise<string> {
    const [own, shard] = await Promise.all([
      this.#registry.getMetricsAsJSON(),
      this.#shard.call("metrics", undefined, SHARD_TIMEOUT_MS),
    ])
    return await AggregatorRegistry.aggregate([own, [...shard]]).metrics()
  }

  close(): void {
    this.#stopMeasuring()
    this.#registry.clear()
  }
}
