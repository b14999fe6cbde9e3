import { deepStrictEqual, strictEqual } from "node:assert"
import { Counter, Gauge, Histogram, Registry } from "prom-client"
import { test } from "vitest"
import { type Family, familiesOf } from "../metrics/families.ts"
import { exposition, formatFor } from "./exposition.ts"

/** What a thread has: a counter with labels that need escaping, a gauge, a histogram. */
async function families(): Promise<Family[]> {
  const registry = new Registry()
  const registers = [registry]
  new Counter({ name: "calls_total", help: 'Says "calls".', labelNames: ["of"], registers }).inc(
    { of: 'a"b\\c\nd' },
    2,
  )
  new Gauge({ name: "room_bytes", help: "A \\ of\nroom.", registers }).set(Number.POSITIVE_INFINITY)
  const seconds = new Histogram({ name: "took_seconds", help: "Took.", buckets: [0.5], registers })
  seconds.observe(0.25)
  return familiesOf(registry)
}

test("exposition: text 0.0.4", async () => {
  strictEqual(
    exposition(await families(), "text"),
    `# HELP calls_total Says "calls".
# TYPE calls_total counter
calls_total{of="a\\"b\\\\c\\nd"} 2
# HELP room_bytes A \\\\ of\\nroom.
# TYPE room_bytes gauge
room_bytes +Inf
# HELP took_seconds Took.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.5"} 1
took_seconds_bucket{le="+Inf"} 1
took_seconds_sum 0.25
took_seconds_count 1
`,
  )
})

test("exposition: OpenMetrics names a counter without _total, escapes quotes in help, and has an end", async () => {
  const [counter] = await families()
  strictEqual(
    exposition([counter!], "openmetrics"),
    `# HELP calls Says \\"calls\\".
# TYPE calls counter
calls_total{of="a\\"b\\\\c\\nd"} 2
# EOF
`,
  )
})

test("exposition: the same samples of several threads are added up, others stand side by side", async () => {
  const [, gauge, histogram] = await families()
  const own = { ...gauge!, samples: ['room_bytes{of="b"}'], values: Float64Array.of(Number.NaN) }
  const page = exposition([histogram!, own, histogram!, own, gauge!], "text")
  deepStrictEqual(
    page.split("\n").filter((line) => !line.startsWith("#")),
    [
      'took_seconds_bucket{le="0.5"} 2',
      'took_seconds_bucket{le="+Inf"} 2',
      "took_seconds_sum 0.5",
      "took_seconds_count 2",
      'room_bytes{of="b"} NaN',
      "room_bytes +Inf",
      "",
    ],
  )
})

test("exposition: the format goes by the Accept header", () => {
  const prometheus =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
  const asked: readonly (readonly [string | undefined, string])[] = [
    [undefined, "text"],
    ["*/*", "text"],
    ["text/html,application/xhtml+xml", "text"],
    ["application/openmetrics-text", "openmetrics"],
    [prometheus, "openmetrics"],
    ["text/plain, application/openmetrics-text; q=0.5", "text"],
    ["application/openmetrics-text; q=0", "text"],
    ["APPLICATION/OpenMetrics-Text; Q=0.9, text/plain;q=0.2", "openmetrics"],
    ["application/openmetrics-text;q=nonsense", "text"],
  ]
  deepStrictEqual(
    asked.map(([accept]) => formatFor(accept)),
    asked.map(([, format]) => format),
  )
})
