// Figures of restore drills, by store.

import type { DrillResult } from "@varve/engines/internal"
import { Counter, Gauge, type Registry } from "prom-client"
import { registerLabelledReadMetric } from "./read-metrics.ts"
import { predictRecovery } from "./recovery-prediction.ts"

/** `incomplete`: nothing was found out, because the repository did not answer or the version went. */
const results = ["passed", "failed", "incomplete"] as const

/** A store as far as its size goes. */
export interface SizedStore {
  readonly settings: { readonly name: string }
  readonly partitions: readonly { readonly engine: { statistics(): { readonly diskBytes: number } } }[]
}

export interface DrillFigures extends Omit<DrillResult, "damage" | "damagedPacks" | "recovery"> {
  /** What a restore takes; null: the drill did not pass. */
  readonly recovery: NonNullable<DrillResult["recovery"]> | null
  readonly version: number
  readonly isPassed: boolean
  readonly endedMs: number
}

export class DrillMetrics {
  readonly #verifiedMoment: Gauge<"store">
  readonly #verifiedVersion: Gauge<"store">
  readonly #verifiedCreated: Gauge<"store">
  readonly #interval: Gauge<"store">
  readonly #unprovenSince: Gauge<"store">
  readonly #drills: Counter<"store" | "result">
  readonly #failing: Gauge<"store">
  readonly #lastSeconds: Gauge<"store">
  readonly #lastBytes: Gauge<"store">
  /** By store, of the last drill that passed. */
  readonly #measured = new Map<string, DrillFigures>()
  #isScheduled = false

  /** All series are there from the start. */
  constructor(registry: Registry, stores: readonly SizedStore[]) {
    const measured = this.#measured
    const registers = [registry]
    const labelNames = ["store"] as const
    this.#verifiedMoment = new Gauge({
      name: "varve_snapshot_last_verified_timestamp_seconds",
      help: "When a restore drill last passed: every byte of a version was read from the repository and proven; 0: none has passed in this data directory.",
      labelNames,
      registers,
    })
    this.#verifiedVersion = new Gauge({
      name: "varve_snapshot_last_verified_version",
      help: "Number of the version that a restore drill last proved to be whole; 0: none.",
      labelNames,
      registers,
    })
    this.#verifiedCreated = new Gauge({
      name: "varve_snapshot_last_verified_created_timestamp_seconds",
      help: "When the version was sealed that a restore drill last proved to be whole; 0: none. The time since then is what a restore is proven to lose at most.",
      labelNames,
      registers,
    })
    this.#interval = new Gauge({
      name: "varve_drill_interval_seconds",
      help: "From one restore drill to the next, as drills.every says; 0: drills come on request only.",
      labelNames,
      registers,
    })
    this.#unprovenSince = new Gauge({
      name: "varve_drill_unproven_since_timestamp_seconds",
      help: "Since when no restore drill has passed, though they come by schedule: since the last one that did, or since they are on; 0: they are off. Alert when it is much older than varve_drill_interval_seconds.",
      labelNames,
      registers,
    })
    this.#drills = new Counter({
      name: "varve_drills_total",
      help: "Restore drills, by result: passed, failed (something is damaged or missing), incomplete (the repository did not answer, or the version was deleted). Alert on failed.",
      labelNames: ["store", "result"],
      registers,
    })
    this.#failing = new Gauge({
      name: "varve_drill_failing",
      help: "1 while the last restore drill that found anything out has failed, also before the daemon was last started: the newest version cannot be restored. Alert on it; the log names the objects.",
      labelNames,
      registers,
    })
    this.#lastSeconds = new Gauge({
      name: "varve_drill_last_duration_seconds",
      help: "How long the last restore drill took that found anything out, with its pauses for drills.bytesPerSecond, snapshots and collections.",
      labelNames,
      registers,
    })
    this.#lastBytes = new Gauge({
      name: "varve_drill_last_read_bytes",
      help: "What the last restore drill that found anything out read from the repository.",
      labelNames,
      registers,
    })
    registerLabelledReadMetric(registry, {
      name: "varve_recovery_predicted_seconds",
      help: "How long a recovery from the repository alone would take now, until its first_answer and until it is complete: what the last passed drill took for the same without pauses, times the bytes of the state now by those of the version drilled; 0: no drill has passed yet.",
      type: "gauge",
      labels: stores.flatMap(({ settings: { name: store } }) => [
        { store, until: "first_answer" },
        { store, until: "complete" },
      ]),
      read: () =>
        stores.flatMap(({ settings, partitions }) => {
          const figures = measured.get(settings.name)
          const bytes = partitions.reduce((sum, { engine }) => sum + engine.statistics().diskBytes, 0)
          const drilled = figures?.recovery ?? { firstAnswerSeconds: 0, completeSeconds: 0 }
          const recovery = predictRecovery(drilled, figures?.stateBytes ?? 0, bytes)
          return [recovery.firstAnswerSeconds, recovery.completeSeconds]
        }),
    })
    for (const { settings } of stores) {
      const store = settings.name
      const verified = [this.#verifiedMoment, this.#verifiedVersion, this.#verifiedCreated]
      const last = [this.#failing, this.#lastSeconds, this.#lastBytes]
      for (const gauge of [...verified, ...last, this.#interval, this.#unprovenSince]) gauge.set({ store }, 0)
      for (const result of results) this.#drills.inc({ store, result }, 0)
    }
  }

  /** Drills of the store come every `everyMs`, since `sinceMs`; 0 and 0: they do not. What was found before is recalled. */
  scheduled(store: string, everyMs: number, sinceMs: number): void {
    if (everyMs === 0) return
    this.#interval.set({ store }, everyMs / 1000)
    const unprovenSinceMs = Math.max(sinceMs, this.#measured.get(store)?.endedMs ?? 0)
    this.#unprovenSince.set({ store }, unprovenSinceMs / 1000)
    this.#isScheduled = true
  }

  /** What drills before this start have found, the last one last. */
  recall(store: string, figures: DrillFigures): void {
    const { isPassed, version, createdMs, endedMs, seconds, bytesRead } = figures
    this.#failing.set({ store }, isPassed ? 0 : 1)
    this.#lastSeconds.set({ store }, seconds)
    this.#lastBytes.set({ store }, bytesRead)
    if (!isPassed) return
    this.#measured.set(store, figures)
    this.#verifiedMoment.set({ store }, endedMs / 1000)
    this.#verifiedVersion.set({ store }, version)
    this.#verifiedCreated.set({ store }, createdMs / 1000)
  }

  done(store: string, figures: DrillFigures): void {
    this.#drills.inc({ store, result: figures.isPassed ? "passed" : "failed" })
    this.recall(store, figures)
    if (figures.isPassed && this.#isScheduled) this.#unprovenSince.set({ store }, figures.endedMs / 1000)
  }

  incomplete(store: string): void {
    this.#drills.inc({ store, result: "incomplete" })
  }
}
