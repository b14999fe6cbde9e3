// What each partition holds, costs and does: which one is hot, which one is large, which one is not served.

import { type DashboardPlan, inPartition } from "./dashboard.ts"
import { type Column, type NamedQuery, series, stat, table } from "./panel.ts"
import { lineAt, neutral, upTo, zeroIsGood } from "./thresholds.ts"

const by = "by (instance, store, partition)"
const legend = "{{store}}/{{partition}}"
const sum = (name: string): string => `sum(${name}{${inPartition}})`
const gauge = (name: string): string => `sum ${by} (${name}{${inPartition}})`
const rate = (name: string): NamedQuery => [
  legend,
  `sum ${by} (rate(${name}{${inPartition}}[$__rate_interval]))`,
]
const flag = (heading: string, name: string): Column => [
  heading,
  "none",
  `max ${by} (${name}{${inPartition}})`,
  zeroIsGood,
]

export const partitions: DashboardPlan = {
  name: "partitions",
  title: "Varve: partitions",
  description: "What each partition holds, costs and does",
  choices: ["instance", "store", "partition"],
  rows: [
    {
      height: 4,
      panels: [
        stat("Not served", "Partitions that are fenced, poisoned or without space: the table says which.", {
          unit: "none",
          query: `${sum("varve_owner_fenced")} + ${sum("varve_poisoned")} + ${sum("varve_storage_full")}`,
          steps: zeroIsGood,
        }),
        stat("Damaged", "Bytes of the state that are damaged in the repository, and not on the local disk.", {
          unit: "bytes",
          query: sum("varve_damaged_bytes"),
          steps: zeroIsGood,
        }),
        stat("Records", "Keys that have a value.", {
          unit: "short",
          query: sum("varve_records"),
          steps: neutral,
        }),
        stat("Memory", "What records and index take of it.", {
          unit: "bytes",
          query: `${sum("varve_memory_bytes")} + ${sum("varve_index_bytes")}`,
          steps: neutral,
        }),
        stat("Disk", "Bytes of the runs of the state.", {
          unit: "bytes",
          query: sum("varve_disk_bytes"),
          steps: neutral,
        }),
        stat(
          "Skew",
          "Records of the largest partition over the average. Much above 1: few hash tags, or few keys.",
          {
            unit: "none",
            decimals: 2,
            query: `max(varve_records{${inPartition}}) / avg(varve_records{${inPartition}})`,
            steps: upTo(2, 5),
          },
        ),
      ],
    },
    {
      height: 10,
      panels: [
        table("Partitions", "Every partition as it is now.", {
          labels: ["instance", "store", "partition"],
          columns: [
            ["records", "locale", gauge("varve_records")],
            ["memory", "bytes", gauge("varve_memory_bytes")],
            ["index", "bytes", gauge("varve_index_bytes")],
            ["disk", "bytes", gauge("varve_disk_bytes")],
            ["not in a version", "bytes", gauge("varve_unsaved_bytes")],
            ["runs", "none", gauge("varve_runs")],
            ["owner epoch", "none", gauge("varve_owner_epoch")],
            flag("fenced", "varve_owner_fenced"),
            flag("poisoned", "varve_poisoned"),
            flag("full", "varve_storage_full"),
          ],
        }),
      ],
    },
    {
      height: 8,
      panels: [
        series("Records by partition", "Keys that have a value.", {
          unit: "short",
          queries: [[legend, gauge("varve_records")]],
        }),
        series("Memory by partition", "What records and index take of it.", {
          unit: "bytes",
          queries: [[legend, `${gauge("varve_memory_bytes")} + ${gauge("varve_index_bytes")}`]],
        }),
        series("Disk by partition", "Bytes of runs. Much more than the state: merges are behind.", {
          unit: "bytes",
          queries: [[legend, gauge("varve_disk_bytes")]],
        }),
      ],
    },
    {
      height: 8,
      panels: [
        series("Written", "Bytes of records a second: which partition is written to most.", {
          unit: "Bps",
          queries: [rate("varve_written_bytes_total")],
        }),
        series("Reads from disk", "Reads a second that memory could not answer.", {
          unit: "ops",
          queries: [rate("varve_disk_reads_total")],
        }),
        series("Writes held back", "Part of the time in which writes waited for the disk or for merges.", {
          unit: "percentunit",
          queries: [rate("varve_write_stall_seconds_total")],
          steps: lineAt(0.05),
        }),
        series(
          "Sessions",
          "Sessions whose frames are recognised when they come again; at 1024 some are forgotten.",
          {
            unit: "none",
            queries: [[legend, gauge("varve_sessions")]],
            steps: lineAt(1024),
          },
        ),
      ],
    },
  ],
}
