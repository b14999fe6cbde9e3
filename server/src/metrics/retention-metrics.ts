// Figures of retention, by store.

import { Counter, Gauge, type Registry } from "prom-client"

export class RetentionMetrics {
  readonly #lastMoment: Gauge<"store">
  readonly #kept: Gauge<"store">
  readonly #removed: Counter<"store">
  readonly #failures: Counter<"store">

  constructor(registry: Registry, storeNames: readonly string[]) {
    const registers = [registry]
    const labelNames = ["store"] as const
    this.#lastMoment = new Gauge({
      name: "varve_retention_last_timestamp_seconds",
      help: "When versions were last pruned; 0: not since the start.",
      labelNames,
      registers,
    })
    this.#kept = new Gauge({
      name: "varve_retention_versions",
      help: "Versions that the last pruning kept, on all timelines. When it grows for ever, look at the store's retention and pins.",
      labelNames,
      registers,
    })
    this.#removed = new Counter({
      name: "varve_retention_versions_removed_total",
      help: "Versions that were removed because no rule keeps them.",
      labelNames,
      registers,
    })
    this.#failures = new Counter({
      name: "varve_retention_failures_total",
      help: "Prunings that failed. Alert on its increase; the log names the cause.",
      labelNames,
      registers,
    })
    for (const store of storeNames) {
      for (const gauge of [this.#lastMoment, this.#kept]) gauge.set({ store }, 0)
      for (const counter of [this.#removed, this.#failures]) counter.inc({ store }, 0)
    }
  }

  done(store: string, figures: { readonly kept: number; readonly removed: number }): void {
    this.#lastMoment.setToCurrentTime({ store })
    this.#kept.set({ store }, figures.kept)
    this.#removed.inc({ store }, figures.removed)
  }

  failed(store: string): void {
    this.#failures.inc({ store })
  }
}
