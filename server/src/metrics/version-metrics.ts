// Figures of snapshots and restores, by store.

import type { SnapshotStages } from "@varve/engines"
import { Counter, Histogram, type Registry } from "prom-client"
import { durationBuckets, longDurationBuckets } from "./buckets.ts"
import { registerLabelledReadMetric } from "./read-metrics.ts"

/** A store as far as its versions go. */
export interface VersionedStore {
  readonly settings: { readonly name: string }
  readonly partitions: readonly {
    readonly engine: { readonly position: { readonly version: number; readonly sealedMs: number } }
    readonly pendingVersions: ReadonlySet<number>
  }[]
}

interface SnapshotFigures {
  readonly bytesNew: number
  readonly bytesReused: number
  readonly chunksNew: number
  readonly chunksReused: number
  readonly sealSeconds: number
  readonly totalSeconds: number
  /** Of each partition. */
  readonly stages: readonly (SnapshotStages & { readonly sealMs: number })[]
}

/** What a partition's version goes through, in this order. */
const stages = {
  seal: ({ sealMs }) => sealMs,
  flush: ({ flushMs }) => flushMs,
  wait: ({ waitMs }) => waitMs,
  chunk: ({ chunkMs }) => chunkMs,
  upload: ({ uploadMs }) => uploadMs,
  commit: ({ commitMs }) => commitMs,
} as const satisfies Record<string, (of: SnapshotStages & { sealMs: number }) => number>
type Stage = keyof typeof stages

const origins = ["new", "reused"] as const

export class VersionMetrics {
  readonly #snapshotSeconds: Histogram<"store">
  readonly #stageSeconds: Histogram<"store" | "stage">
  readonly #sealSeconds: Histogram<"store">
  readonly #bytes: Counter<"store" | "origin">
  readonly #chunks: Counter<"store" | "origin">
  readonly #snapshotFailures: Counter<"store">
  readonly #snapshotRefusals: Counter<"store">
  readonly #restoreSeconds: Histogram<"store">
  readonly #restoreFailures: Counter<"store">
  readonly #restoreRefusals: Counter<"store">
  readonly #skippedVersions: Counter<"store">

  /** All series are there from the start. */
  constructor(registry: Registry, stores: readonly VersionedStore[]) {
    const registers = [registry]
    const labelNames = ["store"] as const
    this.#snapshotSeconds = new Histogram({
      name: "varve_snapshot_duration_seconds",
      help: "Time from the call of a snapshot to its commit. Grows with what changed and with the repository's latency.",
      labelNames,
      buckets: longDurationBuckets,
      registers,
    })
    this.#stageSeconds = new Histogram({
      name: "varve_snapshot_stage_seconds",
      help: "Where the time of snapshots goes, by partition: seal, flush (memory to runs: the disk), wait (for the version before), chunk (cutting and hashing: cores), upload (packs: the repository), commit (manifest: its latency).",
      labelNames: ["store", "stage"],
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
    const counter = <Label extends string>(name: string, help: string, labels: readonly Label[]) =>
      new Counter({ name, help, labelNames: labels, registers })
    this.#bytes = counter(
      "varve_snapshot_bytes_total",
      "Bytes of versions: stored for them (origin new), and in the repository already (origin reused), be it as whole runs or as chunks of new ones.",
      ["store", "origin"],
    )
    this.#chunks = counter(
      "varve_snapshot_chunks_total",
      "Chunks of the runs that versions stored: new, and in the repository already (origin reused). Runs that were there whole are not looked at.",
      ["store", "origin"],
    )
    this.#snapshotFailures = counter(
      "varve_snapshot_failures_total",
      "Snapshots that failed here. Alert on its increase; the log names the cause.",
      labelNames,
    )
    this.#snapshotRefusals = counter(
      "varve_snapshot_refusals_total",
      "Snapshots that could not be taken as they were asked for: mistakes of callers, such as a number that is not above the last one.",
      labelNames,
    )
    this.#restoreSeconds = new Histogram({
      name: "varve_restore_duration_seconds",
      help: "Time of restores. Its count is their number: each one is a rollback or a recovery somewhere.",
      labelNames,
      buckets: longDurationBuckets,
      registers,
    })
    this.#restoreFailures = counter(
      "varve_restore_failures_total",
      "Restores that failed here; the state stayed what it was. Alert on its increase; the log names the cause.",
      labelNames,
    )
    this.#restoreRefusals = counter(
      "varve_restore_refusals_total",
      "Restores that could not be done as they were asked for: mistakes of callers, such as a version that is not there.",
      labelNames,
    )
    this.#skippedVersions = counter(
      "varve_restore_skipped_versions_total",
      "Damaged versions that a restore has passed over for an older one. Alert on its increase.",
      labelNames,
    )
    registerNewest(registry, stores)
    for (const { settings } of stores) this.#beginAtZero(settings.name)
  }

  snapshotDone(store: string, figures: SnapshotFigures): void {
    this.#snapshotSeconds.observe({ store }, figures.totalSeconds)
    this.#sealSeconds.observe({ store }, figures.sealSeconds)
    for (const each of figures.stages) {
      for (const stage of Object.keys(stages) as Stage[]) {
        this.#stageSeconds.observe({ store, stage }, stages[stage](each) / 1000)
      }
    }
    this.#bytes.inc({ store, origin: "new" }, figures.bytesNew)
    this.#bytes.inc({ store, origin: "reused" }, figures.bytesReused)
    this.#chunks.inc({ store, origin: "new" }, figures.chunksNew)
    this.#chunks.inc({ store, origin: "reused" }, figures.chunksReused)
  }

  snapshotFailed(store: string): void {
    this.#snapshotFailures.inc({ store })
  }

  snapshotRefused(store: string): void {
    this.#snapshotRefusals.inc({ store })
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

  restoreRefused(store: string): void {
    this.#restoreRefusals.inc({ store })
  }

  #beginAtZero(store: string): void {
    for (const histogram of [this.#snapshotSeconds, this.#sealSeconds, this.#restoreSeconds])
      histogram.zero({ store })
    for (const stage of Object.keys(stages)) this.#stageSeconds.zero({ store, stage })
    const snapshots = [this.#snapshotFailures, this.#snapshotRefusals]
    const restores = [this.#restoreFailures, this.#restoreRefusals, this.#skippedVersions]
    for (const counter of [...snapshots, ...restores]) counter.inc({ store }, 0)
    for (const origin of origins) {
      this.#bytes.inc({ store, origin }, 0)
      this.#chunks.inc({ store, origin }, 0)
    }
  }
}

/** Where the stores stand: a store's newest version is the one that all of its partitions have. */
function registerNewest(registry: Registry, stores: readonly VersionedStore[]): void {
  const gauge = (name: string, help: string, of: (store: VersionedStore) => number): void => {
    registerLabelledReadMetric(registry, {
      ...{ name, help, type: "gauge" },
      labels: stores.map(({ settings }) => ({ store: settings.name })),
      read: () => stores.map(of),
    })
  }
  gauge(
    "varve_snapshot_last_version",
    "Number of the newest version that all partitions stand on; 0: none yet.",
    ({ partitions }) => Math.min(...partitions.map(({ engine }) => engine.position.version)),
  )
  gauge(
    "varve_snapshot_last_timestamp_seconds",
    "When the newest version that all partitions stand on was sealed, also before the daemon was last started; 0: there is none. Alert when it is much older than the snapshot interval: a lost machine takes along what came since.",
    ({ partitions }) => Math.min(...partitions.map(({ engine }) => engine.position.sealedMs)) / 1000,
  )
  gauge(
    "varve_snapshots_running",
    "Versions that are sealed and not committed yet. More than one for long: snapshots take longer than the interval between them.",
    ({ partitions }) => new Set(partitions.flatMap(({ pendingVersions }) => [...pendingVersions])).size,
  )
}
