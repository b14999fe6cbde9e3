// Versions: how they come about, what they cost, whether they can be put back, and what the repository keeps of them.

import { type DashboardPlan, inInstance, inStore } from "./dashboard.ts"
import { heatmap, series, stat } from "./panel.ts"
import { upTo, zeroIsGood } from "./thresholds.ts"
import { lastDrill, newestVersion, recovery, unsaved } from "./versions.ts"

const bytesOf = (origin: string): string =>
  `sum(rate(varve_snapshot_bytes_total{${inStore},origin="${origin}"}[$__rate_interval]))`
const stages = (part: string): string =>
  `sum by (stage) (rate(varve_snapshot_stage_seconds_${part}{${inStore}}[$__rate_interval]))`

export const snapshots: DashboardPlan = {
  name: "snapshots",
  title: "Varve: snapshots and recovery",
  description: "How versions come about, what they cost, and whether they can be put back",
  choices: ["instance", "store"],
  rows: [
    {
      height: 4,
      panels: [
        newestVersion,
        unsaved,
        stat("Failed snapshots", "Snapshots that failed in the time shown. The log names the causes.", {
          unit: "none",
          decimals: 0,
          query: `sum(increase(varve_snapshot_failures_total{${inStore}}[$__range]))`,
          steps: zeroIsGood,
        }),
        stat("Seal p99", "How long writes wait at most while the content of a version is fixed.", {
          unit: "s",
          query: `histogram_quantile(0.99, sum by (le) (increase(varve_snapshot_seal_seconds_bucket{${inStore}}[$__range])))`,
          steps: upTo(0.001, 0.01),
          none: "no snapshots",
        }),
        lastDrill,
        recovery("complete", 600, 3600),
      ],
    },
    {
      height: 8,
      panels: [
        series("Bytes of versions", "What was uploaded for versions, and what the repository had already.", {
          unit: "Bps",
          stack: true,
          queries: [
            ["new", bytesOf("new")],
            ["reused", bytesOf("reused")],
          ],
        }),
        series(
          "Where the time goes",
          "Of a partition's version: flush (disk), wait (for the version before), chunk (cores), upload and commit (repository).",
          { unit: "s", stack: true, queries: [["{{stage}}", `${stages("sum")} / ${stages("count")}`]] },
        ),
        heatmap("Snapshots", "How many snapshots took how long, from the call to the commit.", {
          unit: "s",
          query: `sum by (le) (increase(varve_snapshot_duration_seconds_bucket{${inStore}}[$__rate_interval]))`,
        }),
      ],
    },
    {
      height: 8,
      panels: [
        series(
          "Merged runs to be uploaded",
          "Uploaded behind the versions. Growing for long: raise repository.mergeUploadBytesPerSecond.",
          {
            unit: "bytes",
            queries: [["{{store}}", `sum by (store) (varve_merge_upload_waiting_bytes{${inStore}})`]],
          },
        ),
        series(
          "State that is here",
          "Part of the state on the local disk: less after a restore, until all has come.",
          {
            unit: "percentunit",
            max: 1,
            queries: [
              [
                "{{store}}",
                `sum by (store) (varve_local_bytes{${inStore}}) / sum by (store) (varve_disk_bytes{${inStore}})`,
              ],
            ],
          },
        ),
        series("Restores", "Each one is a rollback or a recovery somewhere.", {
          unit: "none",
          queries: [
            ["done", `sum(increase(varve_restore_duration_seconds_count{${inStore}}[$__rate_interval]))`],
            ["failed", `sum(increase(varve_restore_failures_total{${inStore}}[$__rate_interval]))`],
          ],
        }),
      ],
    },
    {
      height: 8,
      panels: [
        series(
          "Repository: time of a request",
          "What 95 of 100 requests take at most, repeated attempts included. Slow: so are snapshots and restores.",
          {
            unit: "s",
            queries: [
              [
                "{{operation}}",
                `histogram_quantile(0.95, sum by (operation, le) (rate(varve_repository_request_duration_seconds_bucket{${inInstance}}[$__rate_interval])))`,
              ],
            ],
          },
        ),
        series(
          "Repository: bytes",
          "All packs, and what versions need of them, as the last collection saw them.",
          {
            unit: "bytes",
            queries: [
              ["all", `sum(varve_gc_repository_bytes{${inInstance}})`],
              ["needed", `sum(varve_gc_live_bytes{${inInstance}})`],
            ],
          },
        ),
      ],
    },
  ],
}
