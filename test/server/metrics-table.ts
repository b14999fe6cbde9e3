// The page of metrics as rows: what a daemon offers, and what deploy/metrics.md says that it offers. For tests.

import { readFile } from "node:fs/promises"

/** A metric as its row in the table has it. */
export interface MetricRow {
  readonly name: string
  readonly type: string
  /** Names of its labels, sorted. */
  readonly labels: readonly string[]
  readonly help: string
}

/** The metrics of a page in the text format, by name; those that prom-client brings along are left out. */
export function offeredMetrics(page: string): Map<string, MetricRow> {
  const rows = new Map<string, MetricRow>()
  for (const family of page.split(/^# HELP /m).slice(1)) {
    const [head = "", type = "", ...samples] = family.split("\n")
    const [name = "", ...help] = head.split(" ")
    if (/^(process|nodejs)_/.test(name)) continue
    const labels = new Set(samples.flatMap(labelNamesOf))
    labels.delete("le")
    rows.set(name, { name, type: type.split(" ")[3]!, labels: [...labels].sort(), help: help.join(" ") })
  }
  return rows
}

/** The rows of the table. */
export async function documentedMetrics(): Promise<Map<string, MetricRow>> {
  const page = await readFile(new URL("../../deploy/metrics.md", import.meta.url), "utf8")
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (\w+) \| ([^|]*) \| (.+) \|$/gm)]
  return new Map(
    rows.map(([, name, type, labels, help]) => [
      name!,
      { name: name!, type: type!, labels: labels!.match(/\w+/g) ?? [], help: help! },
    ]),
  )
}

/** A row as the table has it: what to put there when the test fails. */
export function tableLine({ name, type, labels, help }: MetricRow): string {
  return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`
}

/** The value of a series, named as the page has it. @throws when there is none */
export function seriesValue(page: string, series: string): number {
  const line = page.split("\n").find((each) => each.startsWith(`${series} `))
  if (line === undefined) throw new Error(`there is no series ${series}`)
  return Number(line.slice(series.length + 1))
}

/** The sum of all series of a name. */
export function sumOf(page: string, name: string): number {
  const values = page
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .map((line) => Number(line.slice(line.lastIndexOf(" ") + 1)))
  if (values.length === 0) throw new Error(`there is no series of ${name}`)
  return values.reduce((sum, value) => sum + value, 0)
}

function labelNamesOf(sample: string): string[] {
  return [...sample.matchAll(/[{,](\w+)="/g)].map(([, label]) => label!)
}
