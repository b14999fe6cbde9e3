// The page of figures, in the two formats that Prometheus and its kin read.
//
//   text 0.0.4        # HELP name help
//                     # TYPE name type
//                     name{labels} value
//   OpenMetrics 1.0   the same, but: a counter's own name goes without the `_total` of its samples, quotes in help texts
//                     are escaped, and the page ends with # EOF
//
// Samples of the same name and labels, of several threads, are added up.

import { addUp, type Family } from "../metrics/families.ts"

export type ExpositionFormat = "text" | "openmetrics"

export const contentTypes: Readonly<Record<ExpositionFormat, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
}

/** What the `Accept` header of a request asks for: OpenMetrics when it is named, and not put behind plain text. */
export function formatFor(accept: string = ""): ExpositionFormat {
  const weights = accept.split(",").map((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase())
    const weight = parameters.find((each) => each.startsWith("q="))?.slice(2)
    return { type, weight: weight === undefined ? 1 : Number(weight) || 0 }
  })
  const weightOf = (type: string): number => weights.find((each) => each.type === type)?.weight ?? 0
  const openmetrics = weightOf("application/openmetrics-text")
  return openmetrics > 0 && openmetrics >= weightOf("text/plain") ? "openmetrics" : "text"
}

/** The page of these families, of all threads. */
export function exposition(families: readonly Family[], format: ExpositionFormat): string {
  const isOpen = format === "openmetrics"
  const lines: string[] = []
  for (const { name, help, type, samples, values } of addUp(families)) {
    const ownName = isOpen && type === "counter" ? name.replace(/_total$/, "") : name
    lines.push(`# HELP ${ownName} ${helpText(help, isOpen)}`, `# TYPE ${ownName} ${type}`)
    for (const [i, sample] of samples.entries()) lines.push(`${sample} ${numberText(values[i]!)}`)
  }
  if (isOpen) lines.push("# EOF")
  return `${lines.join("\n")}\n`
}

function helpText(help: string, isOpen: boolean): string {
  const text = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
  return isOpen ? text.replaceAll('"', '\\"') : text
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN"
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf"
  return String(value)
}
