// The dashboards and rules as they are in `deploy`, for tests.

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parse } from "yaml"

const deploy = fileURLToPath(new URL("../../deploy", import.meta.url))
const dashboardsFolder = join(deploy, "grafana/dashboards")
export const prometheusFolder = join(deploy, "prometheus")

/** What tests look at of a dashboard. */
export interface CommittedDashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly links: readonly { readonly url: string }[]
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] }
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[]
  }
  readonly panels: readonly CommittedPanel[]
}

export interface CommittedPanel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly fieldConfig: {
    readonly defaults: {
      readonly unit?: string
      readonly thresholds?: { readonly steps: readonly { readonly value: number | null }[] }
    }
  }
  readonly options: { readonly legend?: object; readonly yAxis?: { readonly unit?: string } }
  readonly targets: readonly {
    readonly refId: string
    readonly expr: string
    readonly legendFormat: string
  }[]
}

export interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly for?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

/** Texts of the dashboards by the names of their files. */
export function committedTexts(): Map<string, string> {
  return new Map(readdirSync(dashboardsFolder).map((name) => [name, read(dashboardsFolder, name)]))
}

export function committedDashboards(): CommittedDashboard[] {
  return [...committedTexts().values()].map((text) => JSON.parse(text) as CommittedDashboard)
}

/** The rules that `prometheus.yml` names. */
export function committedRules(): Rule[] {
  const { rule_files: files } = prometheusConfiguration()
  return files.flatMap((file) => {
    const { groups } = readDeployed(`prometheus/${file}`) as { groups: { rules: Rule[] }[] }
    return groups.flatMap(({ rules }) => rules)
  })
}

export interface PrometheusConfiguration {
  readonly global: Readonly<Record<string, string>>
  readonly rule_files: readonly string[]
  readonly scrape_configs: readonly {
    readonly job_name: string
    readonly static_configs: readonly { readonly targets: readonly string[] }[]
  }[]
}

export function prometheusConfiguration(): PrometheusConfiguration {
  return readDeployed("prometheus/prometheus.yml") as PrometheusConfiguration
}

/** A file of YAML in `deploy`. */
export function readDeployed(path: string): unknown {
  return parse(read(deploy, path))
}

function read(folder: string, name: string): string {
  return readFileSync(join(folder, name), "utf8")
}
