// Panels of Grafana from the little that differs between them: a title, what it means, a unit, queries.
//
//     stat("Errors", "Calls that …", { unit: "percentunit", steps: [["green", null], ["red", 0.01]], query: "…" })
//     series("Load", "Records …", { unit: "ops", queries: [["{{kind}}", "sum by (kind) (…)"]] })
//
// A panel has neither id nor place: dashboard.ts gives both. What is the same in all panels is said here once: legends,
// tooltips, colours. A series that is called the same has the same colour on every dashboard.

/** Names of units as Grafana knows them. */
export type Unit =
  | "short"
  | "none"
  | "s"
  | "bytes"
  | "Bps"
  | "ops"
  | "percentunit"
  | "dateTimeFromNow"
  | "locale"

/** Colours from a value on, ascending; the first value is null: from minus infinity. */
export type Steps = readonly (readonly [color: string, from: number | null])[]

/** Texts and colours in place of values. */
export type Words = Readonly<Record<string, readonly [text: string, color: string]>>

/** The name of a series, with labels in double braces, and its query. */
export type NamedQuery = readonly [legend: string, expression: string]

export interface Target {
  readonly refId: string
  readonly datasource: DataSource
  readonly editorMode: "code"
  readonly expr: string
  readonly legendFormat: string
  readonly format: "time_series" | "heatmap" | "table"
  readonly instant: boolean
  readonly range: boolean
}

/** A panel as Grafana takes it, but for its id and place. */
export interface Panel {
  readonly type: string
  readonly title: string
  readonly description: string
  readonly datasource: DataSource
  readonly fieldConfig: { readonly defaults: object; readonly overrides: readonly object[] }
  readonly options: object
  readonly targets: readonly Target[]
  readonly transformations?: readonly object[]
}

export interface DataSource {
  readonly type: "prometheus"
  readonly uid: string
}

/** The data source that is chosen at the top of the dashboard. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's variable
export const dataSource: DataSource = { type: "prometheus", uid: "${datasource}" }

const plain: Steps = [["green", null]]

const colors: Readonly<Record<string, string>> = {
  p50: "green",
  p95: "yellow",
  p99: "orange",
  new: "orange",
  reused: "green",
  needed: "green",
  failed: "red",
  limit: "red",
}

/** One number, large, with the colour that says whether it is well. */
export function stat(
  title: string,
  description: string,
  {
    unit,
    query,
    steps = plain,
    words = {},
    none = "none",
    decimals,
  }: { unit: Unit; query: string; steps?: Steps; words?: Words; none?: string; decimals?: number },
): Panel {
  const options = Object.fromEntries(
    Object.entries(words).map(([value, [text, color]], index) => [value, { text, color, index }]),
  )
  return {
    ...head("stat", title, description),
    fieldConfig: {
      defaults: {
        unit,
        ...given({ decimals }),
        noValue: none,
        color: { mode: "thresholds" },
        mappings: Object.keys(words).length === 0 ? [] : [{ type: "value", options }],
        thresholds: thresholds(steps),
      },
      overrides: [],
    },
    options: {
      reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
      colorMode: "background",
      graphMode: Object.keys(words).length === 0 ? "area" : "none",
      justifyMode: "center",
      orientation: "auto",
      percentChangeColorMode: "standard",
      showPercentChange: false,
      textMode: "value",
      wideLayout: true,
    },
    targets: [target(0, title, query)],
  }
}

/** Lines over time. With `stack` they add up; `steps` are drawn as lines. */
export function series(
  title: string,
  description: string,
  {
    unit,
    queries,
    steps,
    stack = false,
    max,
    decimals,
  }: {
    unit: Unit
    queries: readonly NamedQuery[]
    steps?: Steps
    stack?: boolean
    max?: number
    decimals?: number
  },
): Panel {
  return {
    ...head("timeseries", title, description),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...given({ max, decimals }),
        color: { mode: "palette-classic" },
        thresholds: thresholds(steps ?? plain),
        custom: {
          drawStyle: "line",
          lineInterpolation: "linear",
          lineWidth: 1,
          fillOpacity: stack ? 40 : 10,
          gradientMode: "none",
          showPoints: "never",
          spanNulls: false,
          stacking: { group: "A", mode: stack ? "normal" : "none" },
          thresholdsStyle: { mode: steps === undefined ? "off" : "line" },
        },
      },
      overrides: queries
        .filter(([legend]) => legend in colors)
        .map(([legend]) => ({
          matcher: { id: "byName", options: legend },
          properties: [{ id: "color", value: { mode: "fixed", fixedColor: colors[legend] } }],
        })),
    },
    options: {
      legend: { calcs: ["lastNotNull", "max"], displayMode: "table", placement: "bottom", showLegend: true },
      tooltip: { mode: "multi", sort: "desc" },
    },
    targets: queries.map(([legend, expression], index) => target(index, legend, expression)),
  }
}

/** How many observations fell into each bucket of a histogram, over time. `query` yields buckets by `le`. */
export function heatmap(
  title: string,
  description: string,
  { unit, query }: { unit: Unit; query: string },
): Panel {
  return {
    ...head("heatmap", title, description),
    fieldConfig: {
      defaults: { custom: { hideFrom: { legend: false, tooltip: false, viz: false } } },
      overrides: [],
    },
    options: {
      calculate: false,
      cellGap: 1,
      color: { mode: "scheme", scheme: "Blues", fill: "blue", exponent: 0.5, reverse: false, steps: 64 },
      exemplars: { color: "rgba(255,0,255,0.7)" },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: "auto" },
      showValue: "never",
      tooltip: { mode: "single", showColorScale: true, yHistogram: true },
      yAxis: { axisPlacement: "left", reverse: false, unit },
    },
    targets: [{ ...target(0, "{{le}}", query), format: "heatmap" }],
  }
}

/** A column: its heading, its unit, its query, and colours for its cells. */
export type Column = readonly [heading: string, unit: Unit, expression: string, steps?: Steps]

/** One line for each set of values of `labels`, now. All queries of `columns` yield these labels and no others. */
export function table(
  title: string,
  description: string,
  { labels, columns }: { labels: readonly string[]; columns: readonly Column[] },
): Panel {
  const names = columns.map((_, index) => `Value #${refId(index)}`)
  const order = [...labels, ...names].map((name, index) => [name, index])
  return {
    ...head("table", title, description),
    fieldConfig: {
      defaults: { custom: { align: "auto", cellOptions: { type: "auto" }, filterable: true } },
      overrides: columns.map(([heading, unit, , steps]) => ({
        matcher: { id: "byName", options: heading },
        properties: [
          { id: "unit", value: unit },
          ...(steps === undefined
            ? []
            : [
                { id: "thresholds", value: thresholds(steps) },
                { id: "custom.cellOptions", value: { type: "color-background", mode: "basic" } },
              ]),
        ],
      })),
    },
    options: { cellHeight: "sm", frameIndex: 0, showHeader: true },
    targets: columns.map(([heading, , expression], index) => ({
      ...target(index, heading, expression),
      format: "table",
      instant: true,
      range: false,
    })),
    transformations: [
      { id: "merge", options: {} },
      {
        id: "organize",
        options: {
          excludeByName: { Time: true },
          indexByName: Object.fromEntries(order),
          renameByName: Object.fromEntries(names.map((name, index) => [name, columns[index]![0]])),
        },
      },
    ],
  }
}

function head(
  type: string,
  title: string,
  description: string,
): Pick<Panel, "type" | "title" | "description" | "datasource"> {
  return { type, title, description, datasource: dataSource }
}

function target(index: number, legendFormat: string, expr: string): Target {
  const common = {
    refId: refId(index),
    datasource: dataSource,
    editorMode: "code",
    expr,
    legendFormat,
  } as const
  return { ...common, format: "time_series", instant: false, range: true }
}

/** Those options that were given. */
function given(options: Readonly<Record<string, number | undefined>>): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function refId(index: number): string {
  return String.fromCharCode("A".charCodeAt(0) + index)
}

function thresholds(steps: Steps): object {
  return { mode: "absolute", steps: steps.map(([color, value]) => ({ color, value })) }
}
