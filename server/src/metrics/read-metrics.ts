// Metrics whose numbers are counted elsewhere and read when somebody asks: gauges of what there is, and counters of what
// a thread, an engine or a cache counts for itself. All their samples are there from the start.

import type { Registry } from "prom-client"
import { type Labels, type MetricType, registerFixedMetric, sampleName } from "./families.ts"

/** A metric of one number. */
export interface ReadMetric {
  readonly name: string
  readonly help: string
  readonly type: Exclude<MetricType, "histogram">
  readonly read: () => number | Promise<number>
}

/** A metric with a number for each of `labels`, in their order. */
export interface LabelledReadMetric extends Omit<ReadMetric, "read"> {
  readonly labels: readonly Labels[]
  readonly read: () => readonly number[]
}

/** Registers a metric of one number. */
export function registerReadMetric(registry: Registry, { read, ...metric }: ReadMetric): void {
  registerFixedMetric(registry, {
    ...metric,
    samples: [metric.name],
    read: async (values) => {
      values[0] = await read()
    },
  })
}

/** Registers a metric of some numbers. */
export function registerLabelledReadMetric(
  registry: Registry,
  { labels, read, ...metric }: LabelledReadMetric,
): void {
  registerFixedMetric(registry, {
    ...metric,
    samples: labels.map((each) => sampleName(metric.name, each)),
    read: (values) => values.set(read()),
  })
}
