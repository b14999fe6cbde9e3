// What engines do behind the calls: caches, flushes, merges, the log.

import { type DashboardPlan, inInstance, inStore } from "./dashboard.ts"
import { type NamedQuery, series, stat } from "./panel.ts"
import { lineAt, neutral, upTo } from "./thresholds.ts"

const rate = (name: string, labels = inStore): string => `sum(rate(${name}{${labels}}[$__rate_interval]))`
const hits = rate("varve_block_cache_hits_total", inInstance)
const misses = rate("varve_block_cache_misses_total", inInstance)
const ofTimeShown = (name: string): string => `sum(increase(${name}{${inStore}}[$__range]))`
const syncs = `sum by (le) (rate(varve_log_sync_duration_seconds_bucket{${inStore}}[$__rate_interval]))`
const byStore = (name: string): NamedQuery => ["{{store}}", `sum by (store) (${name}{${inStore}})`]

export const engines: DashboardPlan = {
  name: "engines",
  title: "Varve: engines",
  description: "Caches, flushes, merges and the log",
  choices: ["instance", "store"],
  rows: [
    {
      height: 4,
      panels: [
        stat("Block cache hits", "Part of the blocks that reads found in memory.", {
          unit: "percentunit",
          query: `${hits} / (${hits} + ${misses})`,
          steps: [
            ["red", null],
            ["yellow", 0.5],
            ["green", 0.9],
          ],
          none: "no reads",
        }),
        stat("Reads from disk", "Reads a second that memory could not answer.", {
          unit: "ops",
          query: rate("varve_disk_reads_total"),
          steps: neutral,
        }),
        stat("Writes held back", "Part of the time in which writes to the worst partition waited.", {
          unit: "percentunit",
          query: `max(rate(varve_write_stall_seconds_total{${inStore}}[$__rate_interval]))`,
          steps: upTo(0.01, 0.05),
        }),
        stat(
          "Write amplification",
          "Bytes that went to the disk for each byte that was written, over the time shown.",
          {
            unit: "none",
            decimals: 1,
            query: `(${ofTimeShown("varve_flushed_bytes_total")} + ${ofTimeShown("varve_merged_bytes_total")}) / ${ofTimeShown("varve_written_bytes_total")}`,
            steps: upTo(10, 30),
            none: "no writes",
          },
        ),
      ],
    },
    {
      height: 8,
      panels: [
        series(
          "Blocks",
          "Blocks a second that reads found in the cache, that they did not, and that gave way.",
          {
            unit: "ops",
            queries: [
              ["hits", hits],
              ["misses", misses],
              ["evictions", rate("varve_block_cache_evictions_total", inInstance)],
            ],
          },
        ),
        series("Block cache", "Memory of blocks that were read, and what it may grow to.", {
          unit: "bytes",
          queries: [
            ["used", `sum(varve_block_cache_bytes{${inInstance}})`],
            ["limit", `sum(varve_block_cache_limit_bytes{${inInstance}})`],
          ],
        }),
        series(
          "Chunk cache",
          "Memory of chunks read from the repository after a restore, and what it may grow to.",
          {
            unit: "bytes",
            queries: [
              ["used", `sum(varve_chunk_cache_bytes{${inInstance}})`],
              ["limit", `sum(varve_chunk_cache_limit_bytes{${inInstance}})`],
            ],
          },
        ),
      ],
    },
    {
      height: 8,
      panels: [
        series("Written to disk", "Bytes a second that flushes and merges write.", {
          unit: "Bps",
          stack: true,
          queries: [
            ["flushes", rate("varve_flushed_bytes_total")],
            ["merges", rate("varve_merged_bytes_total")],
          ],
        }),
        series("Runs by level", "Runs on disk. Many on a level: merges are behind.", {
          unit: "none",
          stack: true,
          queries: [["L{{level}}", `sum by (level) (varve_runs{${inStore}})`]],
        }),
        series(
          "Due to be merged",
          "Bytes that merges have still to read and write. Growing for long: they are behind.",
          {
            unit: "bytes",
            queries: [byStore("varve_merge_due_bytes")],
          },
        ),
        series(
          "Merging",
          "Part of the time in which the busiest partition merges. Near 1: it falls behind soon.",
          {
            unit: "percentunit",
            queries: [
              ["{{store}}", `max by (store) (rate(varve_merge_seconds_total{${inStore}}[$__rate_interval]))`],
            ],
            steps: lineAt(0.9),
          },
        ),
      ],
    },
    {
      height: 8,
      panels: [
        series("Log: time of a sync", "What the disk takes. Writers of stores with a log wait for it.", {
          unit: "s",
          queries: [
            ["p50", `histogram_quantile(0.5, ${syncs})`],
            ["p99", `histogram_quantile(0.99, ${syncs})`],
          ],
        }),
        series("Log: writes that share a sync", "More under load, which is what makes a log affordable.", {
          unit: "none",
          decimals: 1,
          queries: [["writes", `${rate("varve_log_writes_total")} / ${rate("varve_log_syncs_total")}`]],
        }),
        series("Log: held", "Bytes that a start after a crash would read again.", {
          unit: "bytes",
          queries: [byStore("varve_log_held_bytes")],
        }),
      ],
    },
  ],
}
