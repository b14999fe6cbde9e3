// Figures of engines, by store and partition, read from the engines when somebody asks.

import type { EngineStatistics } from "@varve/engines"
import { Counter, Gauge, type Registry } from "prom-client"

interface MeasuredStore {
  readonly settings: { readonly name: string }
  readonly partitions: readonly {
    readonly index: number
    readonly engine: { statistics(): EngineStatistics; readonly position: { readonly version: number } }
  }[]
}

interface Figure {
  readonly name: string
  readonly help: string
  readonly of: (statistics: EngineStatistics) => number
}

/** Levels that are shown; deeper ones count as the last. */
const LEVELS = 8

const gauges: readonly Figure[] = [
  { name: "varve_records", help: "Keys that have a value.", of: ({ recordCount }) => recordCount },
  {
    name: "varve_memory_bytes",
    help: "Memory for records. With varve_index_bytes this is what to size the machine by.",
    of: ({ memoryBytes }) => memoryBytes,
  },
  {
    name: "varve_index_bytes",
    help: "Memory for the index. Grows with the number of keys.",
    of: ({ indexBytes }) => indexBytes,
  },
  {
    name: "varve_disk_bytes",
    help: "Bytes of runs of the state. Much more than the state: merges are behind.",
    of: ({ diskBytes }) => diskBytes,
  },
  {
    name: "varve_local_bytes",
    help: "How many of varve_disk_bytes are on the local disk; less after a restore, until all has been fetched.",
    of: ({ bytesLocal }) => bytesLocal,
  },
  {
    name: "varve_damaged_bytes",
    help: "How many of varve_disk_bytes the repository holds damaged: reads of them fail with DATA_LOSS. Alert above 0.",
    of: ({ bytesDamaged }) => bytesDamaged,
  },
  {
    name: "varve_merge_upload_waiting_bytes",
    help: "Bytes of merged runs that are still to be uploaded. Growing: raise repository.mergeUploadBytesPerSecond.",
    of: ({ bytesMergedWaiting }) => bytesMergedWaiting,
  },
]

/** Of stores without a log they stay at 0. */
const logGauges: readonly Figure[] = [
  {
    name: "varve_log_segments",
    help: "Segments of the log that are kept. Many for long: checkpoints fail; the log names the cause.",
    of: ({ log }) => log?.segmentCount ?? 0,
  },
  {
    name: "varve_log_held_bytes",
    help: "Bytes of these segments on the local disk; a crash makes the daemon read them at the next start.",
    of: ({ log }) => log?.bytesHeld ?? 0,
  },
]

const logCounters: readonly Figure[] = [
  {
    name: "varve_log_writes_total",
    help: "Batches of records appended to the log.",
    of: ({ log }) => log?.entryCount ?? 0,
  },
  {
    name: "varve_log_bytes_total",
    help: "Bytes of these batches.",
    of: ({ log }) => log?.bytesAppended ?? 0,
  },
  {
    name: "varve_log_syncs_total",
    help: "Syncs of the log. varve_log_writes_total divided by it: writes that share a sync.",
    of: ({ log }) => log?.syncCount ?? 0,
  },
  {
    name: "varve_log_sync_seconds_total",
    help: "Time spent in syncs; divided by varve_log_syncs_total: how long the disk takes for one.",
    of: ({ log }) => (log?.syncMs ?? 0) / 1000,
  },
]

const counters: readonly Figure[] = [
  {
    name: "varve_flushes_total",
    help: "Flushes of memory to runs since the start.",
    of: (of) => of.flushCount,
  },
  { name: "varve_merges_total", help: "Merges of runs since the start.", of: (of) => of.mergeCount },
  {
    name: "varve_flushed_bytes_total",
    help: "Bytes written by flushes: what the writes cost on the disk before merging.",
    of: (of) => of.bytesFlushed,
  },
  {
    name: "varve_merged_bytes_total",
    help: "Bytes written by merges; divided by varve_flushed_bytes_total: write amplification of merging.",
    of: (of) => of.bytesMerged,
  },
  {
    name: "varve_merge_upload_bytes_total",
    help: "Bytes of merged runs uploaded behind the snapshots; those of runs that were merged again meanwhile count too.",
    of: (of) => of.bytesMergedStored,
  },
  {
    name: "varve_disk_reads_total",
    help: "Reads that asked the disk. When its rate is near the read rate, give the engine more memory.",
    of: (of) => of.diskReadCount,
  },
  {
    name: "varve_write_stalls_total",
    help: "Writes that had to wait. Above zero for long: the disk or the merges cannot keep up.",
    of: (of) => of.stallCount,
  },
  {
    name: "varve_write_stall_seconds_total",
    help: "Time that writes were held back because merges were behind.",
    of: (of) => of.stalledMs / 1000,
  },
]

/** Registers the figures of `stores`, all present from the start. */
export function registerEngineMetrics(registry: Registry, stores: readonly MeasuredStore[]): void {
  const labelNames = ["store", "partition"] as const
  const each = (
    record: (labels: { store: string; partition: string }, statistics: EngineStatistics) => void,
  ): void => {
    for (const { settings, partitions } of stores) {
      for (const { index, engine } of partitions) {
        record({ store: settings.name, partition: String(index) }, engine.statistics())
      }
    }
  }
  for (const { name, help, of } of [...gauges, ...logGauges]) {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        each((labels, statistics) => this.set(labels, of(statistics)))
      },
    })
  }
  for (const { name, help, of } of [...counters, ...logCounters]) {
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        each((labels, statistics) => this.inc(labels, of(statistics)))
      },
    })
  }
  new Gauge({
    name: "varve_runs",
    help: "Runs on disk by level (the last level counts the deeper ones too). Many on a level: merges are behind.",
    labelNames: [...labelNames, "level"],
    registers: [registry],
    collect() {
      each((labels, { runsByLevel }) => {
        const runs = new Array<number>(LEVELS).fill(0)
        for (const [level, count] of runsByLevel.entries()) runs[Math.min(level, LEVELS - 1)]! += count
        for (const [level, count] of runs.entries()) this.set({ ...labels, level: String(level) }, count)
      })
    },
  })
}
