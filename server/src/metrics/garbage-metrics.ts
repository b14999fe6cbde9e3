// Figures of garbage collection: one repository, whatever stores there are.

import { Counter, Gauge, type Registry } from "prom-client"

interface CollectionFigures {
  readonly bytes: number
  readonly bytesLive: number
  readonly bytesRemoved: number
  readonly bytesRewritten: number
  /** Numbers of packs. */
  readonly condemned: number
  readonly rewritten: number
  readonly removed: number
  readonly pardoned: number
  readonly seconds: number
}

const actions = ["condemned", "rewritten", "removed", "pardoned"] as const

export class GarbageMetrics {
  readonly #lastMoment: Gauge
  readonly #lastSeconds: Gauge
  readonly #failures: Counter
  readonly #packs: Counter<"action">
  readonly #bytes: Counter<"action">
  readonly #repositoryBytes: Gauge
  readonly #liveBytes: Gauge

  constructor(registry: Registry) {
    const registers = [registry]
    this.#lastMoment = new Gauge({
      name: "varve_gc_last_timestamp_seconds",
      help: "When garbage was last collected by this daemon; 0: not since the start. Alert when it is much older than garbageCollection.interval.",
      registers,
    })
    this.#lastSeconds = new Gauge({
      name: "varve_gc_last_duration_seconds",
      help: "How long the last collection of garbage took. It reads every manifest and every recipe.",
      registers,
    })
    this.#failures = new Counter({
      name: "varve_gc_failures_total",
      help: "Collections of garbage that failed; nothing that is needed was removed. Alert on its increase: the log names the cause.",
      registers,
    })
    this.#packs = new Counter({
      name: "varve_gc_packs_total",
      help: "Packs that collections of garbage condemned, rewrote, removed and pardoned. Many pardoned: the grace is short for how long snapshots take.",
      labelNames: ["action"],
      registers,
    })
    this.#bytes = new Counter({
      name: "varve_gc_bytes_total",
      help: "Bytes of packs that collections of garbage removed, and bytes that they wrote by rewriting others.",
      labelNames: ["action"],
      registers,
    })
    this.#repositoryBytes = new Gauge({
      name: "varve_gc_repository_bytes",
      help: "Bytes of all packs of the repository at the last collection of garbage.",
      registers,
    })
    this.#liveBytes = new Gauge({
      name: "varve_gc_live_bytes",
      help: "Bytes of packs that versions needed at the last collection of garbage. Much less than varve_gc_repository_bytes for long: garbage is not collected.",
      registers,
    })
    for (const action of actions) this.#packs.inc({ action }, 0)
    for (const action of ["removed", "rewritten"]) this.#bytes.inc({ action }, 0)
  }

  done(figures: CollectionFigures): void {
    this.#lastMoment.setToCurrentTime()
    this.#lastSeconds.set(figures.seconds)
    for (const action of actions) this.#packs.inc({ action }, figures[action])
    this.#bytes.inc({ action: "removed" }, figures.bytesRemoved)
    this.#bytes.inc({ action: "rewritten" }, figures.bytesRewritten)
    this.#repositoryBytes.set(figures.bytes - figures.bytesRemoved + figures.bytesRewritten)
    this.#liveBytes.set(figures.bytesLive)
  }

  failed(): void {
    this.#failures.inc()
  }
}
