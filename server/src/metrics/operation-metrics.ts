// Figures of reads and writes, by store and kind. Records are counted in plain fields; durations are observed
// once a call or frame, never once a record.

import { isEngineError } from "@varve/engines"
import { Counter, Histogram, type Registry } from "prom-client"
import { durationBuckets } from "./buckets.ts"

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
  readonly #seconds: { observe(value: number): void }

  constructor(seconds: { observe(value: number): void }) {
    this.#seconds = seconds
  }

  /** `records` were read or written by a call that began at `startedMs` of `performance.now()`. */
  done(records: number, startedMs: number): void {
    this.ok += records
    this.#seconds.observe((performance.now() - startedMs) / 1000)
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
    const seconds = new Histogram({
      name: "varve_operation_duration_seconds",
      help: "Time in the daemon of a call, or of a frame of a pipeline. When it rises, look at disk reads and stalls.",
      labelNames: ["store", "kind"],
      buckets: durationBuckets,
      registers: [registry],
    })
    for (const store of storeNames) {
      const figures = operationKinds.map((kind) => {
        seconds.zero({ store, kind })
        return [kind, new OperationFigures(seconds.labels({ store, kind }))] as const
      })
      this.#stores.set(store, Object.fromEntries(figures) as Record<OperationKind, OperationFigures>)
    }
    const stores = this.#stores
    new Counter({
      name: "varve_operations_total",
      help: "Records read or written (result ok), calls or frames that failed (result error) or whose condition did not hold (result refused). Its rate is the load.",
      labelNames: ["store", "kind", "result"],
      registers: [registry],
      collect() {
        this.reset()
        for (const [store, operations] of stores) {
          for (const kind of operationKinds) {
            this.inc({ store, kind, result: "ok" }, operations[kind].ok)
            this.inc({ store, kind, result: "error" }, operations[kind].failed)
          }
          const { refused } = operations.conditional_write
          this.inc({ store, kind: "conditional_write", result: "refused" }, refused)
        }
      },
    })
  }

  /** The figures of a store that was named to the constructor. */
  of(store: string): StoreOperations {
    const operations = this.#stores.get(store)
    if (operations === undefined) throw new Error(`no figures of store ${store}`)
    return operations
  }
}
