// Is it healthy, is it fast, is the state safe? The first row answers; the others show since when, and where to look on.

import { type DashboardPlan, inInstance, inStore } from "./dashboard.ts"
import { heatmap, series, stat } from "./panel.ts"
import { lineAt, neutral, upTo } from "./thresholds.ts"
import { lastDrill, newestVersion, recovery, unsaved } from "./versions.ts"

const faults = "INTERNAL|DATA_LOSS|STORAGE_FAILED|REPOSITORY_FAILED|ENGINE_POISONED"
const duration = `sum by (le) (rate(varve_operation_duration_seconds_bucket{${inStore}}[$__rate_interval]))`
const isUp = `min(up{${inInstance}} and on (job, instance) last_over_time(varve_build_info{${inInstance}}[1h]))`
const areAllWell = ["varve_owner_fenced", "varve_poisoned", "varve_storage_full"]
  .map((name) => `(1 - max(${name}{${inStore}}))`)
  .join(" * ")

export const overview: DashboardPlan = {
  name: "overview",
  title: "Varve: overview",
  description: "Is it healthy, is it fast, is the state safe?",
  choices: ["instance", "store"],
  rows: [
    {
      height: 4,
      panels: [
        stat(
          "Serving",
          "Whether daemons and shards are up, and no partition is fenced, poisoned or without space. If not, the dashboard of partitions shows which.",
          {
            unit: "none",
            query: `${isUp} * min(varve_shard_up{${inInstance}}) * ${areAllWell}`,
            words: { 1: ["yes", "green"], 0: ["no", "red"] },
            steps: [["red", null]],
            none: "no answer",
          },
        ),
        stat(
          "Failing",
          "Part of the calls and frames that fail by the daemon's fault, not by the caller's.",
          {
            unit: "percentunit",
            query: `sum(rate(varve_errors_total{${inInstance},reason=~"${faults}"}[$__rate_interval])) / sum(rate(grpc_server_msg_received_total{${inInstance}}[$__rate_interval]))`,
            steps: upTo(0.001, 0.01),
            none: "no calls",
          },
        ),
        stat("Operations", "Records read or written a second.", {
          unit: "ops",
          query: `sum(rate(varve_operations_total{${inStore},result="ok"}[$__rate_interval]))`,
          steps: neutral,
        }),
        stat("Latency p99", "What 99 of 100 calls and frames take in the daemon at most.", {
          unit: "s",
          query: `histogram_quantile(0.99, ${duration})`,
          steps: upTo(0.01, 0.1),
          none: "no calls",
        }),
        newestVersion,
        unsaved,
        lastDrill,
        recovery("first_answer", 60, 600),
      ],
    },
    {
      height: 8,
      panels: [
        series("Operations by kind", "Records read or written a second.", {
          unit: "ops",
          stack: true,
          queries: [
            [
              "{{kind}}",
              `sum by (kind) (rate(varve_operations_total{${inStore},result="ok"}[$__rate_interval]))`,
            ],
          ],
        }),
        series(
          "Errors by reason",
          "Calls, frames and operations a second that were answered with an error.",
          {
            unit: "ops",
            queries: [
              [
                "{{reason}}",
                `sum by (reason) (rate(varve_errors_total{${inInstance}}[$__rate_interval])) > 0`,
              ],
            ],
          },
        ),
      ],
    },
    {
      height: 9,
      panels: [
        heatmap("Latency", "How many calls and frames took how long in the daemon.", {
          unit: "s",
          query: `sum by (le) (increase(varve_operation_duration_seconds_bucket{${inStore}}[$__rate_interval]))`,
        }),
        series("Latency, percentiles", "What half, 95 and 99 of 100 calls and frames take at most.", {
          unit: "s",
          queries: [
            ["p50", `histogram_quantile(0.5, ${duration})`],
            ["p95", `histogram_quantile(0.95, ${duration})`],
            ["p99", `histogram_quantile(0.99, ${duration})`],
          ],
        }),
      ],
    },
    {
      height: 8,
      panels: [
        series("Age of the newest version", "A saw: each version brings it down to almost nothing.", {
          unit: "s",
          queries: [
            ["{{instance}} {{store}}", `time() - (varve_snapshot_last_timestamp_seconds{${inStore}} > 0)`],
          ],
          steps: lineAt(900),
        }),
        series("Not in a version yet", "Bytes written since the newest version: lost with the machine.", {
          unit: "bytes",
          queries: [["{{instance}} {{store}}", `sum by (instance, store) (varve_unsaved_bytes{${inStore}})`]],
        }),
      ],
    },
  ],
}
