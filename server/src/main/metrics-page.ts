// The figures of all threads as one page: main's own, the control plane's and those of each shard, merged. Figures of
// several shards under the same labels are summed.

import { collectDefaultMetrics, Gauge, Registry } from "prom-client"
import { softwareVersion } from "../cli/software-version.ts"
import type { ControlPlane } from "../control/control-plane.ts"
import { registerDiskMetrics } from "../metrics/disk-metrics.ts"
import { familiesOf } from "../metrics/families.ts"
import { registerThreadMetrics } from "../metrics/thread-metrics.ts"
import { type ExpositionFormat, exposition } from "./exposition.ts"

/** Well below the 10 s that Prometheus waits for a page. */
const SHARD_TIMEOUT_MS = 2000

export class MetricsPage {
  readonly #registry = new Registry()
  readonly #plane: ControlPlane
  readonly #stopMeasuring: () => void

  /** Made when clients are served. @param dataDir where the state is kept */
  constructor(plane: ControlPlane, dataDir: string) {
    this.#plane = plane
    registerDiskMetrics(this.#registry, dataDir)
    const start = new Gauge({
      name: "varve_start_duration_seconds",
      help: "How long the process took until it served, with the recovery of all stores. Grows with the state: less of it to replay or to fetch makes starts shorter.",
      registers: [this.#registry],
    })
    start.set(process.uptime())
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

  /** The page; of a shard that does not answer in time, with what it said last. */
  async text(format: ExpositionFormat): Promise<string> {
    const { shards, registry } = this.#plane
    // What the plane says of the size of states goes by what the shards have told it.
    const [ofShards] = await Promise.all([shards.metrics(SHARD_TIMEOUT_MS), shards.refresh(SHARD_TIMEOUT_MS)])
    const [own, plane] = await Promise.all([familiesOf(this.#registry), familiesOf(registry)])
    return exposition([...own, ...plane, ...ofShards], format)
  }

  close(): void {
    this.#stopMeasuring()
    this.#registry.clear()
  }
}
