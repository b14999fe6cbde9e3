// A histogram whose observations are counted elsewhere, by upper bounds (engines/src/base/duration-counts.ts): it is read
// when somebody asks.

import type { Registry } from "prom-client"
import { type Labels, registerFixedMetric, sampleName } from "./families.ts"

/** What was counted under one set of labels. */
export interface CountedDurations {
  /** By bound; one more for what took longer. */
  readonly counts: readonly number[]
  readonly sumMs: number
}

export interface CountedHistogram {
  readonly name: string
  readonly help: string
  readonly boundsMs: readonly number[]
  readonly labels: readonly Labels[]
  /** One for each of `labels`. */
  readonly read: () => readonly CountedDurations[]
}

/** Registers a histogram in seconds. */
export function registerCountedHistogram(
  registry: Registry,
  { name, help, boundsMs, labels, read }: CountedHistogram,
): void {
  const bounds = [...boundsMs.map((ms) => ms / 1000), "+Inf"]
  const samples = labels.flatMap((each) => [
    ...bounds.map((le) => sampleName(`${name}_bucket`, { le, ...each })),
    sampleName(`${name}_sum`, each),
    sampleName(`${name}_count`, each),
  ])
  registerFixedMetric(registry, {
    ...{ name, help, type: "histogram", samples },
    read: (values) => {
      let at = 0
      for (const { counts, sumMs } of read()) {
        let count = 0
        for (const each of counts) {
          count += each
          values[at++] = count
        }
        values[at++] = sumMs / 1000
        values[at++] = count
      }
    },
  })
}
