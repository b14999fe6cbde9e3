// A dashboard of Grafana: panels in rows, what can be chosen at its top, and the way to the others.
//
//     { name: "engines", title: "…", description: "…", choices: ["instance", "store"],
//       rows: [{ height: 4, panels: [stat(…), stat(…)] }, { height: 8, panels: [series(…)] }] }
//
// A row is 24 units wide, which its panels share; what is left over goes to the last. Panels get their ids by where
// they stand.

import { dataSource, type Panel } from "./panel.ts"

/** What `in…` and choices are for: queries take the series of the instances, stores, … that were chosen. */
export const inInstance = 'instance=~"$instance"'
export const inStore = 'instance=~"$instance",store=~"$store"'
export const inPartition = 'instance=~"$instance",store=~"$store",partition=~"$partition"'

/** Where the values of a choice come from. */
const choices = {
  instance: "label_values(varve_build_info, instance)",
  store: `label_values(varve_records{${inInstance}}, store)`,
  partition: `label_values(varve_records{${inStore}}, partition)`,
} as const
export type Choice = keyof typeof choices

export interface DashboardRow {
  /** In Grafana's units of about 30 pixels. */
  readonly height: number
  readonly panels: readonly Panel[]
}

export interface DashboardPlan {
  /** Last part of the uid and of the file's name. */
  readonly name: string
  readonly title: string
  readonly description: string
  readonly choices: readonly Choice[]
  readonly rows: readonly DashboardRow[]
}

const WIDTH = 24
/** Grafana 10.4 and newer know this form; newer ones bring it up to theirs by themselves. */
const SCHEMA_VERSION = 39

function uidOf(name: string): string {
  return `varve-${name}`
}

/** The dashboard that `plan` describes, with links to those of `all`. */
export function makeDashboard(plan: DashboardPlan, all: readonly DashboardPlan[]): object {
  return {
    uid: uidOf(plan.name),
    title: plan.title,
    description: plan.description,
    tags: ["varve"],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    timezone: "browser",
    links: all.filter(({ name }) => name !== plan.name).map(linkTo),
    annotations: { list: [restores] },
    templating: { list: [dataSourceVariable, ...plan.choices.map(variable)] },
    panels: placed(plan.rows),
  }
}

function placed(rows: readonly DashboardRow[]): object[] {
  const panels: object[] = []
  let y = 0
  for (const row of rows) {
    const width = Math.floor(WIDTH / row.panels.length)
    for (const [index, panel] of row.panels.entries()) {
      const isLast = index === row.panels.length - 1
      const w = isLast ? WIDTH - index * width : width
      panels.push({ id: panels.length + 1, gridPos: { x: index * width, y, w, h: row.height }, ...panel })
    }
    y += row.height
  }
  return panels
}

function linkTo({ name, title, description }: DashboardPlan): object {
  return {
    type: "link",
    title: title.replace(/^Varve: /, ""),
    tooltip: description,
    url: `/d/${uidOf(name)}`,
    icon: "dashboard",
    tags: [],
    asDropdown: false,
    includeVars: true,
    keepTime: true,
    targetBlank: false,
  }
}

const dataSourceVariable = {
  type: "datasource",
  name: "datasource",
  label: "data source",
  query: "prometheus",
  refresh: 1,
  hide: 0,
  includeAll: false,
  multi: false,
  options: [],
  current: { selected: false, text: "default", value: "default" },
  regex: "",
}

function variable(name: Choice): object {
  const query = choices[name]
  return {
    type: "query",
    name,
    label: name,
    datasource: dataSource,
    definition: query,
    query: { query, refId: `variable-${name}` },
    refresh: 2,
    sort: 7,
    hide: 0,
    includeAll: true,
    allValue: ".*",
    multi: true,
    options: [],
    current: { selected: true, text: ["All"], value: ["$__all"] },
    regex: "",
  }
}

/** Shown as marks on all panels. */
const restores = {
  name: "restores",
  datasource: dataSource,
  enable: true,
  hide: false,
  iconColor: "purple",
  expr: `sum by (instance, store) (increase(varve_restore_duration_seconds_count{${inInstance}}[1m])) > 0`,
  step: "30s",
  titleFormat: "restore",
  textFormat: "{{store}} on {{instance}}",
  useValueForTime: false,
}
