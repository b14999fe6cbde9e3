// Figures of reads and writes, by store and kind. All of them are counted in plain fields, durations once a call or frame,
// never once a record: the histogram of prom-client makes and looks up labels, which a lone call would wait for.

import { isEngineError } from "@varve/engines"
import { boundIndex, noCounts, shortBoundsMs } from "@varve/engines/internal"
import type { Registry } from "prom-client"
import { registerCountedHistogram } from "./counted-histogram.ts"
import { registerLabelledReadMetric } from "./read-metrics.ts"

export const operationKinds = [
  "get",
  "set",
  "delete",
  "get_many",
  "write",
  "scan",
  "pipeline_read",
  "pipeline_write",
  "conditional_write",
] as const
export type OperationKind = (typeof operationKinds)[number]

/** Figures of one kind of operation on one store. */
export class OperationFigures {
  ok = 0
  failed = 0
  /** Conditional writes whose condition did not hold: contention, no fault. */
  refused = 0
  /** Of calls and frames that were done, by `shortBoundsMs`. */
  readonly counts = noCounts(shortBoundsMs)
  sumMs = 0

  /** `records` were read or written by a call that began at `startedMs` of `performance.now()`. */
  done(records: number, startedMs: number): void {
    this.ok += records
    const ms = performance.now() - startedMs
    this.counts[boundIndex(shortBoundsMs, ms)]! += 1
    this.sumMs += ms
  }

  /** A call or frame failed. */
  fail(error: unknown): void {
    if (isEngineError(error, "CONDITION_FAILED")) this.refused += 1
    else this.failed += 1
  }

  /** Runs `work`, which reads or writes `records`, and counts what came of it. */
  measure<Result>(records: number, work: () => Result | Promise<Result>): Result | Promise<Result> {
    const startedMs = performance.now()
    try {
      const result = work()
      if (result instanceof Promise) return this.#whenSettled(records, startedMs, result)
      this.done(records, startedMs)
      return result
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  async #whenSettled<Result>(records: number, startedMs: number, pending: Promise<Result>): Promise<Result> {
    try {
      const result = await pending
      this.done(records, startedMs)
      return result
    } catch (error) {
      this.fail(error)
      throw error
    }
  }
}

export type StoreOperations = Readonly<Record<OperationKind, OperationFigures>>

export class OperationMetrics {
  readonly #stores = new Map<string, StoreOperations>()

  constructor(registry: Registry, storeNames: readonly string[]) {
    for (const store of storeNames) {
      const figures = operationKinds.map((kind) => [kind, new OperationFigures()] as const)
      this.#stores.set(store, Object.fromEntries(figures) as Record<OperationKind, OperationFigures>)
    }
    const measured = [...this.#stores].flatMap(([store, operations]) =>
      operationKinds.map((kind) => ({ labels: { store, kind }, figures: operations[kind] })),
    )
    registerCountedHistogram(registry, {
      name: "varve_operation_duration_seconds",
      help: "Time in the daemon of a call, or of a frame of a pipeline. When it rises, look at disk reads and stalls.",
      boundsMs: shortBoundsMs,
      labels: measured.map(({ labels }) => labels),
      read: () => measured.map(({ figures }) => figures),
    })
    const results = measured.flatMap(({ labels, figures }) => [
      { labels: { ...labels, result: "ok" }, count: () => figures.ok },
      { labels: { ...labels, result: "error" }, count: () => figures.failed },
      ...(labels.kind === "conditional_write"
        ? [{ labels: { ...labels, result: "refused" }, count: () => figures.refused }]
        : []),
    ])
    registerLabelledReadMetric(registry, {
      name: "varve_operations_total",
      help: "Records read or written (result ok), calls or frames that failed (result error) or whose condition did not hold (result refused). Its rate is the load.",
      type: "counter",
      labels: results.map(({ labels }) => labels),
      read: () => results.map(({ count }) => count()),
    })
  }

  /** The figures of a store that was named to the constructor. */
  of(store: string): StoreOperations {
    const operations = this.#stores.get(store)
    if (operations === undefined) throw new Error(`no figures of store ${store}`)
    return operations
  }
}
