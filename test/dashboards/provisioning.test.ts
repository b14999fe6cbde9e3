// That what Prometheus and Grafana are told fits what compose.yaml starts: hosts are its services, paths are mounted.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { test } from "vitest"
import { prometheusConfiguration, readDeployed } from "./committed.ts"

interface Service {
  readonly command?: readonly string[]
  readonly volumes?: readonly string[]
}

const { services } = readDeployed("compose.yaml") as { services: Record<string, Service> }

/** Where a service finds `path` of the folder `deploy`. */
function mountOf(service: string, path: string): string | undefined {
  const mount = services[service]?.volumes?.find((volume) => volume.startsWith(`./${path}:`))
  return mount?.split(":")[1]
}

test("compose: Prometheus scrapes the daemon where it serves HTTP, and has its rules beside its configuration", () => {
  const targets = prometheusConfiguration().scrape_configs.flatMap(({ static_configs: configs }) =>
    configs.flatMap((config) => config.targets),
  )
  strictEqual(targets.length, 1)
  const [host, port] = targets[0]!.split(":")
  ok(services[host!]?.command?.some((flag) => flag.startsWith("--http=") && flag.endsWith(`:${port}`)))
  strictEqual(mountOf("prometheus", "prometheus"), "/etc/prometheus")
})

test("compose: Grafana finds what is provisioned, its dashboards and its data source", () => {
  strictEqual(mountOf("grafana", "grafana/provisioning"), "/etc/grafana/provisioning")
  const dashboards = readDeployed("grafana/provisioning/dashboards/varve.yml") as {
    providers: { type: string; options: { path: string } }[]
  }
  deepStrictEqual(
    dashboards.providers.map(({ type, options }) => [type, options.path]),
    [["file", mountOf("grafana", "grafana/dashboards")]],
  )
  const { datasources } = readDeployed("grafana/provisioning/datasources/varve.yml") as {
    datasources: { type: string; url: string; isDefault: boolean; jsonData: { timeInterval: string } }[]
  }
  const [source] = datasources
  deepStrictEqual([datasources.length, source?.type, source?.isDefault], [1, "prometheus", true])
  ok(new URL(source!.url).hostname in services)
  strictEqual(source?.jsonData.timeInterval, prometheusConfiguration().global["scrape_interval"])
})
