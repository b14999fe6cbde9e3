// Errors that callers were told of, by reason: of calls, of frames of a pipeline, and of operations in a frame. They are
// counted where an error becomes an answer, for the thread: a shard is a thread, and so is main.

import { errorTable, type Reason } from "@varve/proto"
import type { Registry } from "prom-client"
import { registerFixedMetric, sampleName } from "./families.ts"

const reasons = Object.keys(errorTable) as Reason[]
const counts = new Map<Reason, number>(reasons.map((reason) => [reason, 0]))

/** A caller is told of an error. */
export function countError(reason: Reason): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1)
}

/** Registers what the calling thread has counted, all reasons present from the start. */
export function registerErrorMetrics(registry: Registry): void {
  const name = "varve_errors_total"
  registerFixedMetric(registry, {
    name,
    help: "Calls, frames and operations that were answered with an error, by its reason. OVERLOADED, WRITES_STALLED and STORAGE_FULL: the daemon is at a limit; INTERNAL and DATA_LOSS: look into its log. CONDITION_FAILED and KEY_… are the callers' business.",
    type: "counter",
    samples: reasons.map((reason) => sampleName(name, { reason })),
    read: (values) => values.set(reasons.map((reason) => counts.get(reason)!)),
  })
}
