// Errors that callers were told of, by reason: of calls, of frames of a pipeline, and of operations in a frame. They are
// counted where an error becomes an answer, for the thread: a shard is a thread, and so is main.

import { errorTable, type Reason } from "@varve/proto"
import type { Registry } from "prom-client"
import { registerLabelledReadMetric } from "./read-metrics.ts"

const reasons = Object.keys(errorTable) as Reason[]
const counts = new Map<Reason, number>(reasons.map((reason) => [reason, 0]))

/** A caller is told of an error. */
export function countError(reason: Reason): void {
  countErrors(reason, 1)
}

/** Callers are told of so many errors. */
export function countErrors(reason: Reason, count: number): void {
  counts.set(reason, (counts.get(reason) ?? 0) + count)
}

/** Registers what the calling thread has counted, all reasons present from the start. */
export function registerErrorMetrics(registry: Registry): void {
  registerLabelledReadMetric(registry, {
    name: "varve_errors_total",
    help: "Calls, frames and operations that were answered with an error, by its reason. OVERLOADED (at least so many: see varve_overload_refusals_total), WRITES_STALLED and STORAGE_FULL: the daemon is at a limit; INTERNAL and DATA_LOSS: look into its log. CONDITION_FAILED and KEY_… are the callers' business.",
    type: "counter",
    labels: reasons.map((reason) => ({ reason })),
    read: () => reasons.map((reason) => counts.get(reason)!),
  })
}
