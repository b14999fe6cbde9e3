// deploy/compose.yaml: Debian's docker-compose reads it, every file that it mounts is there, and it says what it opens.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSettings } from "@varve/server"
import { test } from "vitest"
import { parse } from "yaml"
import { settingsOfArguments } from "./serve-arguments.ts"

const deploy = fileURLToPath(new URL("../../deploy", import.meta.url))
const path = join(deploy, "compose.yaml")
const text = readFileSync(path, "utf8")

interface Service {
  readonly image: string
  readonly build?: { readonly context: string }
  readonly command?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly [field: string]: unknown
}

interface Composition {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}

/** The file as docker-compose understands it: checked, variables replaced, paths absolute. */
function composition(): Composition {
  const args = ["--file", path, "config"]
  return parse(execFileSync("docker-compose", args, { encoding: "utf8", stdio: "pipe" })) as Composition
}

const { services, volumes } = composition()

test("compose: the daemon's command is one that the daemon takes, with the bucket that is made", () => {
  const { settings } = parseSettings({
    flags: settingsOfArguments(services["varve"]!.command!, ""),
    environment: {},
    currentDirectory: "/varve",
    file: undefined,
  })
  const { hostname, searchParams } = new URL(settings.repository)
  strictEqual(services["bucket"]!.command!.at(-1), `store/${hostname}`)
  strictEqual(searchParams.get("endpoint"), "http://minio:9000")
})

test("compose: the daemon starts when the bucket is there, and is locked down", () => {
  strictEqual(services["varve"]!.depends_on!["bucket"]!.condition, "service_completed_successfully")
  strictEqual(services["varve"]!["read_only"], true)
  deepStrictEqual(services["varve"]!["cap_drop"], ["ALL"])
  ok(existsSync(join(services["varve"]!.build!.context, "Dockerfile")))
})

test("compose: every folder that it mounts is there, and every volume declared", () => {
  const sources = Object.values(services).flatMap((service) =>
    (service.volumes ?? []).map((volume) => volume.split(":")[0]!),
  )
  ok(sources.some((source) => source.startsWith("/")))
  const missing = sources.filter((source) =>
    source.startsWith("/") ? !existsSync(source) : !(source in volumes),
  )
  deepStrictEqual(missing, [])
  ok(existsSync(join(deploy, "prometheus/prometheus.yml")))
  const home = services["grafana"]!.environment!["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]!
  ok(existsSync(home.replace("/var/lib/grafana/dashboards", join(deploy, "grafana/dashboards"))))
})

test("compose: Prometheus and Grafana ask for services that are there", () => {
  const prometheus = readFileSync(join(deploy, "prometheus/prometheus.yml"), "utf8")
  const [, target, port] = /targets: \["([a-z]+):(\d+)"\]/.exec(prometheus)!
  strictEqual(new URL(`http://${settingsOfArguments(services[target!]!.command!, "")["http"]}`).port, port)
  const source = readFileSync(join(deploy, "grafana/provisioning/datasources/varve.yml"), "utf8")
  ok(new URL(/url: (\S+)/.exec(source)![1]!).hostname in services)
})

test("compose: every port is on loopback and named at the top, every image has a version", () => {
  const opened = Object.values(services).flatMap(({ ports = [] }) => ports)
  ok(opened.every((port) => port.startsWith("127.0.0.1:")))
  const [head] = text.split("\n\n")
  const named = [...head!.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => port)
  const published = opened.map((port) => port.split(":")[1]).map((port) => port!.replace("/tcp", ""))
  deepStrictEqual(published.sort(), named.sort())
  for (const { image, build } of Object.values(services)) ok(build !== undefined || /:[^:]*\d/.test(image))
})
