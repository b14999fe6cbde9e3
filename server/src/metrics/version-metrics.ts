// Figures of snapshots and restores, by store.

import { Counter, Gauge, Histogram, type Registry } from "prom-client"
import { durationBuckets, longDurationBuckets } from "./buckets.ts"

interface SnapshotFigures {
  readonly version: number
  readonly bytesNew: number
  readonly bytesReused: number
  readonly chunksNew: number
  readonly chunksReused: number
  readonly sealSeconds: number
  readonly totalSeconds: number
}

export class VersionMetrics {
  readonly #snapshotSeconds: Histogram<"store">
  readonly #sealSeconds: Histogram<"store">
  readonly #bytes: Counter<"store" | "origin">
  readonly #chunks: Counter<"store" | "origin">
  readonly #lastVersion: Gauge<"store">
  readonly #lastSeconds: Gauge<"store">
  readonly #snapshotFailures: Counter<"store">
  readonly #restoreSeconds: Histogram<"store">
  readonly #restoreFailures: Counter<"store">
  readonly #skippedVersions: Counter<"store">

  constructor(registry: Registry, storeNames: readonly string[]) {
    const registers = [registry]
    const labelNames = ["store"] as const
    this.#snapshotSeconds = new Histogram({
      name: "varve_snapshot_duration_seconds",
      help: "Time from the call of a snapshot to its commit. Grows with what changed and with the repository's latency.",
      labelNames,
      buckets: longDurationBuckets,
      registers,
    })
    this.#sealSeconds = new Histogram({
      name: "varve_snapshot_seal_seconds",
      help: "Time that writes were held to fix a snapshot's content. Stays under 1 ms whatever the state's size.",
      labelNames,
      buckets: durationBuckets,
      registers,
    })
    this.#bytes = new Counter({
      name: "varve_snapshot_bytes_total",
      help: "Bytes of versions: stored for them (origin new), and in the repository already (origin reused).",
      labelNames: ["store", "origin"],
      registers,
    })
    this.#chunks = new Counter({
      name: "varve_snapshot_chunks_total",
      help: "Chunks of versions, as varve_snapshot_bytes_total.",
      labelNames: ["store", "origin"],
      registers,
    })
    this.#lastVersion = new Gauge({
      name: "varve_snapshot_last_version",
      help: "Number of the newest version committed since the start; 0: none yet.",
      labelNames,
      registers,
    })
    this.#lastSeconds = new Gauge({
      name: "varve_snapshot_last_timestamp_seconds",
      help: "When it was committed. Alert when it is much older than the snapshot interval: a crash loses that much.",
      labelNames,
      registers,
    })
    this.#snapshotFailures = new Counter({
      name: "varve_snapshot_failures_total",
      help: "Snapshots that failed. Alert on its increase; the log names the cause.",
      labelNames,
      registers,
    })
    this.#restoreSeconds = new Histogram({
      name: "varve_restore_duration_seconds",
      help: "Time of restores. Its count is their number: each one is a rollback or a recovery somewhere.",
      labelNames,
      buckets: longDurationBuckets,
      registers,
    })
    this.#restoreFailures = new Counter({
      name: "varve_restore_failures_total",
      help: "Restores that failed; the state stayed what it was. The log names the cause.",
      labelNames,
      registers,
    })
    this.#skippedVersions = new Counter({
      name: "varve_restore_skipped_versions_total",
      help: "Damaged versions that a restore has passed over for an older one. Alert on its increase.",
      labelNames,
      registers,
    })
    for (const store of storeNames) {
      for (const histogram of [this.#snapshotSeconds, this.#sealSeconds, this.#restoreSeconds])
        histogram.zero({ store })
      for (const gauge of [this.#lastVersion, this.#lastSeconds]) gauge.set({ store }, 0)
      for (const counter of [this.#snapshotFailures, this.#restoreFailures, this.#skippedVersions]) {
        counter.inc({ store }, 0)
      }
      for (const counter of [this.#bytes, this.#chunks]) {
        for (const origin of ["new", "reused"]) counter.inc({ store, origin }, 0)
      }
    }
  }

  snapshotDone(store: string, figures: SnapshotFigures): void {
    this.#snapshotSeconds.observe({ store }, figures.totalSeconds)
    this.#sealSeconds.observe({ store }, figures.sealSeconds)
    this.#bytes.inc({ store, origin: "new" }, figures.bytesNew)
    this.#bytes.inc({ store, origin: "reused" }, figures.bytesReused)
    this.#chunks.inc({ store, origin: "new" }, figures.chunksNew)
    this.#chunks.inc({ store, origin: "reused" }, figures.chunksReused)
    this.#lastVersion.set({ store }, figures.version)
    this.#lastSeconds.setToCurrentTime({ store })
  }

  snapshotFailed(store: string): void {
    this.#snapshotFailures.inc({ store })
  }

  restoreDone(
    store: string,
    figures: { readonly totalSeconds: number; readonly skipped: readonly unknown[] },
  ): void {
    this.#restoreSeconds.observe({ store }, figures.totalSeconds)
    this.#skippedVersions.inc({ store }, figures.skipped.length)
  }

  restoreFailed(store: string): void {
    this.#restoreFailures.inc({ store })
  }
}
