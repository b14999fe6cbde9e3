// Figures of a registry as they travel between threads: names of samples with their labels as text, and numbers. Main adds
// them up over the threads and writes the page (main/exposition.ts). Objects, as prom-client hands them out, would be copied
// one by one.

import type { Metric, MetricObjectWithValues, MetricValue, Registry } from "prom-client"

/** Two fewer than the 16 of a number; of seconds since 1970 these are tenths of a millisecond. */
const SUM_DIGITS = 14

export type MetricType = "gauge" | "counter" | "histogram"

/** All samples of one metric. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: string
  /** `name{label="value",…}` of each sample, as the page has it. */
  readonly samples: readonly string[]
  readonly values: Float64Array
}

export type Labels = Readonly<Record<string, string | number | undefined>>

/** A metric whose samples are the same ones each time, read from where they are counted. */
export interface FixedMetric {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  readonly samples: readonly string[]
  /** Puts the value of each sample in its place. */
  readonly read: (values: Float64Array) => void | Promise<void>
}

/**
 * Registers a metric that costs no more than its numbers when it is asked for: nothing is looked up by labels. With
 * many partitions that is most of a page.
 */
export function registerFixedMetric(registry: Registry, metric: FixedMetric): void {
  const { name, help, type, samples, read } = metric
  const get = async (): Promise<Family> => {
    const values = new Float64Array(samples.length)
    await read(values)
    return { name, help, type, samples, values }
  }
  // The registry asks a metric for no more than that.
  registry.registerMetric({ name, help, type, get } as unknown as Metric)
}

/** What `registry` has now. */
export async function familiesOf(registry: Registry): Promise<Family[]> {
  const metrics = (await registry.getMetricsAsJSON()) as (Family | LabelledValues)[]
  return metrics.map((metric) => ("samples" in metric ? metric : familyOf(metric)))
}

/** The same families, each once: samples of the same name and labels are added up. */
export function addUp(families: readonly Family[]): Family[] {
  const all = new Map<string, { readonly first: Family; readonly sums: Map<string, number> }>()
  for (const family of families) {
    const known = all.get(family.name)
    const sums = known?.sums ?? new Map<string, number>()
    if (known === undefined) all.set(family.name, { first: family, sums })
    for (const [i, sample] of family.samples.entries()) {
      sums.set(sample, (sums.get(sample) ?? 0) + family.values[i]!)
    }
  }
  return [...all.values()].map(({ first: { name, help, type }, sums }) => ({
    ...{ name, help, type },
    samples: [...sums.keys()],
    values: Float64Array.from(sums.values(), rounded),
  }))
}

/** Sums of the same numbers in another order differ in their last digits, and a counter may not go back by those. */
function rounded(sum: number): number {
  return Number.isInteger(sum) ? sum : Number(sum.toPrecision(SUM_DIGITS))
}

/** A sample's name with its labels, as the page has it. */
export function sampleName(name: string, labels: Labels): string {
  let text = ""
  for (const label in labels) {
    const separator = text === "" ? "{" : ","
    text += `${separator}${label}="${escaped(String(labels[label]))}"`
  }
  return text === "" ? name : `${name}${text}}`
}

type LabelledValues = MetricObjectWithValues<MetricValue<string> & { metricName?: string }>

function familyOf({ name, help, type, values }: LabelledValues): Family {
  return {
    name,
    help,
    type: String(type),
    samples: values.map(({ metricName = name, labels }) => sampleName(metricName, labels)),
    values: Float64Array.from(values, ({ value }) => value),
  }
}

function escaped(value: string): string {
  return /[\\\n"]/.test(value)
    ? value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')
    : value
}
