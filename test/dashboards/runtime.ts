// The process: processor, memory, threads, connections, calls. For when the other dashboards say that it is slow.

import { type DashboardPlan, inInstance } from "./dashboard.ts"
import { series, stat } from "./panel.ts"
import { lineAt, upTo, zeroIsGood } from "./thresholds.ts"

const thread = "{{instance}} {{thread}}"
const delay = `sum by (instance, thread, le) (rate(varve_event_loop_delay_seconds_bucket{${inInstance}}[$__rate_interval]))`
const busy = `rate(varve_event_loop_active_seconds_total{${inInstance}}[$__rate_interval])`
const part = (used: string, limit: string): string =>
  `sum(${used}{${inInstance}}) / sum(${limit}{${inInstance}})`
const rate = (name: string): string => `sum(rate(${name}{${inInstance}}[$__rate_interval]))`

export const runtime: DashboardPlan = {
  name: "runtime",
  title: "Varve: runtime",
  description: "Processor, memory, threads, connections and calls of the process",
  choices: ["instance"],
  rows: [
    {
      height: 4,
      panels: [
        stat("Event loop p99", "How late the slowest thread's event loop runs.", {
          unit: "s",
          query: `max(histogram_quantile(0.99, ${delay}))`,
          steps: upTo(0.01, 0.05),
        }),
        stat(
          "Busiest thread",
          "Part of the time that it has work. Near 1 a shard is at its end: more shards help.",
          {
            unit: "percentunit",
            query: `max(${busy})`,
            steps: upTo(0.7, 0.9),
          },
        ),
        stat(
          "Disk in use",
          "Part of the file system of dataDir. Without space writes are refused, and merges stop.",
          {
            unit: "percentunit",
            query: `max(1 - varve_filesystem_free_bytes{${inInstance}} / varve_filesystem_size_bytes{${inInstance}})`,
            steps: upTo(0.8, 0.9),
          },
        ),
        stat("In flight", "Part of limits.inflightBytesMax that is taken. At 100% calls are refused.", {
          unit: "percentunit",
          query: `max(varve_inflight_bytes{${inInstance}} / varve_inflight_limit_bytes{${inInstance}})`,
          steps: upTo(0.5, 0.8),
        }),
        stat("Descriptors", "Part of the file descriptors that the process may have.", {
          unit: "percentunit",
          query: `max(process_open_fds{${inInstance}} / process_max_fds{${inInstance}})`,
          steps: upTo(0.5, 0.8),
        }),
        stat("Shard restarts", "How often shards died in the time shown. The log names the causes.", {
          unit: "none",
          decimals: 0,
          query: `sum(increase(varve_shard_restarts_total{${inInstance}}[$__range]))`,
          steps: zeroIsGood,
        }),
      ],
    },
    {
      height: 8,
      panels: [
        series("Processor", "Cores that the process keeps busy.", {
          unit: "none",
          decimals: 2,
          queries: [["{{instance}}", `rate(process_cpu_seconds_total{${inInstance}}[$__rate_interval])`]],
        }),
        series("Memory", "What the process takes of the machine.", {
          unit: "bytes",
          queries: [["{{instance}}", `process_resident_memory_bytes{${inInstance}}`]],
        }),
      ],
    },
    {
      height: 8,
      panels: [
        series("Event loop delay p99", "Above some 10 ms something blocks the thread.", {
          unit: "s",
          queries: [[thread, `histogram_quantile(0.99, ${delay})`]],
          steps: lineAt(0.05),
        }),
        series("Busy threads", "Part of the time that a thread has work.", {
          unit: "percentunit",
          max: 1,
          queries: [[thread, busy]],
        }),
        series(
          "Heap by thread",
          "Part of its limit that a thread's JavaScript heap takes. At 100% the thread ends.",
          {
            unit: "percentunit",
            max: 1,
            queries: [
              [
                thread,
                `varve_thread_heap_bytes{${inInstance}} / varve_thread_heap_limit_bytes{${inInstance}}`,
              ],
            ],
            steps: lineAt(0.9),
          },
        ),
      ],
    },
    {
      height: 8,
      panels: [
        series("Calls", "Calls a second by method.", {
          unit: "ops",
          queries: [
            [
              "{{grpc_method}}",
              `sum by (grpc_method) (rate(grpc_server_started_total{${inInstance}}[$__rate_interval])) > 0`,
            ],
          ],
        }),
        series(
          "Messages",
          "Messages a second; on a pipeline each is a frame of many records. Handed on to another shard: few, when clients go by Describe.",
          {
            unit: "ops",
            queries: [
              ["received", rate("grpc_server_msg_received_total")],
              ["sent", rate("grpc_server_msg_sent_total")],
              ["handed on", rate("varve_forwarded_calls_total")],
            ],
          },
        ),
        series(
          "Limits",
          "What is taken of the limits on connections, calls and bytes. At 100% the daemon refuses.",
          {
            unit: "percentunit",
            queries: [
              ["connections", part("varve_connections", "varve_connections_limit")],
              ["calls", part("varve_open_calls", "varve_open_calls_limit")],
              ["arriving", part("varve_arriving_bytes", "varve_arriving_limit_bytes")],
              ["in flight", part("varve_inflight_bytes", "varve_inflight_limit_bytes")],
            ],
            steps: lineAt(0.8),
          },
        ),
      ],
    },
  ],
}
