// The figures of all threads as one page: main's own, the control plane's and those of each shard, merged. Figures of
// several shards under the same labels are summed.

import { AggregatorRegistry, collectDefaultMetrics, Gauge, Registry } from "prom-client"
import { softwareVersion } from "../cli/software-version.ts"
import type { ControlPlane } from "../control/control-plane.ts"
import { registerThreadMetrics } from "../metrics/thread-metrics.ts"

const SHARD_TIMEOUT_MS = 10_000

export class MetricsPage {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #registry = new Registry()
  readonly #plane: ControlPlane
  readonly #stopMeasuring: () => void

  constructor(plane: ControlPlane) {
    this.#plane = plane
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

  /** The page; a shard that does not answer in time is left out. */
  async text(): Promise<string> {
    const [own, plane, shards] = await Promise.all([
      this.#registry.getMetricsAsJSON(),
      this.#plane.registry.getMetricsAsJSON(),
      this.#plane.shards.metrics(SHARD_TIMEOUT_MS),
    ])
    return await AggregatorRegistry.aggregate([own, plane, ...shards.map((each) => [...each])]).metrics()
  }

  close(): void {
    this.#stopMeasuring()
    this.#registry.clear()
  }
}
