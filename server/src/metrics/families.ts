// Figures of a registry as they travel between threads: names of samples with their labels as text, and numbers. Main adds
// them up over the threads and writes the page (main/exposition.ts). Objects, as prom-client hands them out, would be copied
// one by one.

import type { Metric, MetricObjectWithValues, MetricValue, Registry } from "prom-client"

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

/**
 * The same families, each once: samples of the same name and labels are added up, in the order in which they come. A sum of
 * the same addends in the same order grows when they grow, down to its last bit; in another order it may differ there.
 */
export function addUp(families: readonly Family[]): Family[] {
  return joined(families, (sum, value) => sum + value)
}

/** The same families, each once: of samples of the same name and labels the largest. */
export function largest(families: readonly Family[]): Family[] {
  return joined(families, Math.max)
}

function joined(families: readonly Family[], join: (one: number, other: number) => number): Family[] {
  const all = new Map<string, { readonly first: Family; readonly values: Map<string, number> }>()
  for (const family of families) {
    const known = all.get(family.name)
    const values = known?.values ?? new Map<string, number>()
    if (known === undefined) all.set(family.name, { first: family, values })
    for (const [i, sample] of family.samples.entries()) {
      const value = family.values[i]!
      const other = values.get(sample)
      values.set(sample, other === undefined ? value : join(other, value))
    }
  }
  return [...all.values()].map(({ first: { name, help, type }, values }) => ({
    ...{ name, help, type },
    samples: [...values.keys()],
    values: Float64Array.from(values.values()),
  }))
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
