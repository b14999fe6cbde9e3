// A strict reader of OpenMetrics 1.0 text, as far as this daemon uses it (no exemplars, timestamps or units). For tests.
//
//   page   := family* "# EOF\n"
//   family := "# HELP" | "# TYPE" lines, each once, then samples; a family never comes again

import { ok, strictEqual } from "node:assert"

export interface OpenMetricsFamily {
  readonly type: string
  readonly help: string
  /** By name and labels, as they stand. */
  readonly samples: ReadonlyMap<string, number>
}

/** Endings of samples that a type allows; the empty one is the family's own name. */
const endings: Readonly<Record<string, readonly string[]>> = {
  gauge: [""],
  counter: ["_total"],
  histogram: ["_bucket", "_sum", "_count"],
}

const LABELS = /^\{[a-zA-Z_]\w*="(?:[^"\\]|\\[\\n"])*"(?:,[a-zA-Z_]\w*="(?:[^"\\]|\\[\\n"])*")*\}$/
const HELP = /^(?:[^"\\]|\\[\\n"])+$/

/** @throws AssertionError naming the line */
export function parseOpenMetrics(page: string): Map<string, OpenMetricsFamily> {
  ok(page.endsWith("\n# EOF\n"), "the page ends with # EOF")
  const families = new Map<string, OpenMetricsFamily & { samples: Map<string, number> }>()
  let name = ""
  let help = ""
  for (const line of page.slice(0, -"# EOF\n".length).trimEnd().split("\n")) {
    const [, keyword, of = "", rest = ""] = /^# (\w+) (\S+) (.+)$/.exec(line) ?? []
    if (keyword === "HELP") {
      ok(!families.has(of), `a family comes again: ${line}`)
      ok(HELP.test(rest), line)
      name = of
      help = rest
    } else if (keyword === "TYPE") {
      ok(of === name && rest in endings && !families.has(of), line)
      families.set(name, { type: rest, help, samples: new Map() })
    } else addSample(line, name, families.get(name))
  }
  for (const [each, { type, samples }] of families) if (type === "histogram") checkBuckets(each, samples)
  return families
}

function addSample(
  line: string,
  family: string,
  found: { readonly type: string; readonly samples: Map<string, number> } | undefined,
): void {
  ok(found !== undefined, `a sample without a type: ${line}`)
  const [, name = "", labels = "", value = ""] = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$/.exec(line) ?? []
  ok(
    endings[found.type]!.some((ending) => name === family + ending),
    line,
  )
  ok(labels === "" || LABELS.test(labels), line)
  ok(/^(?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)$/.test(value), line)
  ok(!found.samples.has(name + labels), `twice: ${line}`)
  found.samples.set(name + labels, Number(value))
}

/** Bounds ascend and end with +Inf, counts never fall, and the last one is the count. */
function checkBuckets(family: string, samples: ReadonlyMap<string, number>): void {
  const buckets = new Map<string, [number, number][]>()
  for (const [sample, count] of samples) {
    const [, labels, bound] = /_bucket\{(.*?)le="([^"]+)"/.exec(sample) ?? []
    if (bound === undefined) continue
    const others = sample.slice(sample.indexOf("{")).replace(/le="[^"]+",?/, "")
    const key = `${labels}${others}`.replace(/^\{|,?\}$/g, "")
    const list = buckets.get(key) ?? []
    list.push([bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound), count])
    buckets.set(key, list)
  }
  ok(buckets.size > 0, `${family} has buckets`)
  for (const [labels, list] of buckets) {
    for (const [i, [bound, count]] of list.entries()) {
      const [boundBefore, countBefore] = list[i - 1] ?? [Number.NEGATIVE_INFINITY, 0]
      ok(bound > boundBefore && count >= countBefore, `${family} ${labels}: ${bound}`)
    }
    const [bound, count] = list.at(-1)!
    strictEqual(bound, Number.POSITIVE_INFINITY, family)
    strictEqual(samples.get(`${family}_count${labels === "" ? "" : `{${labels}}`}`), count, family + labels)
  }
}
