// Figures of engines, by store and partition, read from the engines when somebody asks.

import type { EngineStatistics } from "@varve/engines"
import { noCounts, shortBoundsMs } from "@varve/engines/internal"
import type { Registry } from "prom-client"
import { type CountedDurations, registerCountedHistogram } from "./counted-histogram.ts"
import {
  type Figure,
  logCounters,
  logGauges,
  mergeCounters,
  mergeGauges,
  type PartitionFigures,
  sessionGauges,
  stateCounters,
  stateGauges,
  versionGauges,
} from "./engine-figures.ts"
import { type ReadMetric, registerLabelledReadMetric } from "./read-metrics.ts"
import { readOnce } from "./read-once.ts"

interface MeasuredStore {
  readonly settings: { readonly name: string }
  readonly partitions: readonly {
    readonly index: number
    readonly engine: {
      statistics(): EngineStatistics
      readonly position: PartitionFigures["position"]
    }
  }[]
}

/** Some numbers of a partition, each under a further label. */
interface FigureSet extends Omit<ReadMetric, "read"> {
  readonly label: string
  readonly labelValues: readonly string[]
  /** In the order of `labelValues`. */
  readonly of: (figures: PartitionFigures) => readonly number[]
}

/** Levels that are shown; deeper ones count as the last. */
const LEVELS = 8

const gauges: readonly Figure[] = [
  ...stateGauges,
  ...versionGauges,
  ...mergeGauges,
  ...sessionGauges,
  ...logGauges,
]
const counters: readonly Figure[] = [...stateCounters, ...mergeCounters, ...logCounters]

/** Why writers wait: memory is full because the disk is behind, or levels are because merges are. */
const stallReasons = ["memory", "levels"] as const

const sets: readonly FigureSet[] = [
  {
    name: "varve_runs",
    help: "Runs on disk by level (the last level counts the deeper ones too). Many on a level: merges are behind.",
    type: "gauge",
    label: "level",
    labelValues: Array.from({ length: LEVELS }, (_, level) => String(level)),
    of: ({ runsByLevel }) => {
      const runs = new Array<number>(LEVELS).fill(0)
      for (const [level, count] of runsByLevel.entries()) runs[Math.min(level, LEVELS - 1)]! += count
      return runs
    },
  },
  {
    name: "varve_write_stalls_total",
    help: "Writes that had to wait, because memory was full until the disk had taken it (memory), or merges were behind (levels).",
    type: "counter",
    label: "reason",
    labelValues: stallReasons,
    of: ({ stallCount, memoryStallCount }) => [memoryStallCount, stallCount - memoryStallCount],
  },
  {
    name: "varve_write_stall_seconds_total",
    help: "Time in which at least one write waited. Its rate near 1 for memory: a faster disk, or more memory for the engine; for levels: more cores, or fewer writes.",
    type: "counter",
    label: "reason",
    labelValues: stallReasons,
    of: ({ stalledMs, memoryStalledMs }) => [
      memoryStalledMs / 1000,
      Math.max(0, stalledMs - memoryStalledMs) / 1000,
    ],
  },
]

/** Registers the figures of `stores`, all present from the start. */
export function registerEngineMetrics(registry: Registry, stores: readonly MeasuredStore[]): void {
  const partitions = stores.flatMap(({ settings: { name: store }, partitions: all }) =>
    all.map(({ index, engine }) => ({ labels: { store, partition: String(index) }, engine })),
  )
  const read = readOnce((): PartitionFigures[] =>
    partitions.map(({ engine }) => ({ ...engine.statistics(), position: engine.position })),
  )
  const register = ({ of, ...figure }: Figure, type: ReadMetric["type"]): void =>
    registerLabelledReadMetric(registry, {
      ...figure,
      type,
      labels: partitions.map(({ labels }) => labels),
      read: () => read().map(of),
    })
  for (const figure of gauges) register(figure, "gauge")
  for (const figure of counters) register(figure, "counter")
  for (const { label, labelValues, of, ...set } of sets) {
    registerLabelledReadMetric(registry, {
      ...set,
      labels: partitions.flatMap(({ labels }) => labelValues.map((value) => ({ ...labels, [label]: value }))),
      read: () => read().flatMap(of),
    })
  }
  registerCountedHistogram(registry, {
    name: "varve_log_sync_duration_seconds",
    help: "How long syncs of the log took, which writers of durability log wait for. Above some 10 ms: the disk is slow or shared.",
    boundsMs: shortBoundsMs,
    labels: stores.map(({ settings }) => ({ store: settings.name })),
    read: () =>
      stores.map(({ settings }) =>
        syncsOf(read().filter((_, i) => partitions[i]!.labels.store === settings.name)),
      ),
  })
}

/** Of all partitions of a store together: they share the disk. */
function syncsOf(partitions: readonly PartitionFigures[]): CountedDurations {
  const counts = noCounts(shortBoundsMs)
  let sumMs = 0
  for (const { log } of partitions) {
    if (log === undefined) continue
    for (const [i, count] of log.syncCounts.entries()) counts[i]! += count
    sumMs += log.syncMs
  }
  return { counts, sumMs }
}
