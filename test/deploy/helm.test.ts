// The Helm chart: what it makes is what stands beside it, Kubernetes takes it, the daemon takes the settings in it, and
// values that cannot work are refused before anything is made.

import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSettings, type Settings } from "@varve/server"
import { describe, test } from "vitest"
import { parse, stringify } from "yaml"
import { renderChart, renderedPath, valueFaults, valuesFiles, writeCommand } from "./chart.ts"
import {
  danglingReferences,
  isLockedDown,
  type KubernetesObject,
  parseObjects,
  schemaFault,
} from "./kubernetes-objects.ts"
import { settingsOfArguments } from "./serve-arguments.ts"

const helm = fileURLToPath(new URL("../../deploy/helm", import.meta.url))

function objectsOf(values: string): KubernetesObject[] {
  return parseObjects(renderChart(values))
}

function find(objects: readonly KubernetesObject[], kind: string): KubernetesObject {
  return objects.find((object) => object.kind === kind)!
}

/** The settings that the daemon of a pod named `varve-1` runs with. */
function settingsOf(objects: readonly KubernetesObject[]): Settings {
  const { args } = find(objects, "StatefulSet")["spec"].template.spec.containers[0]
  const content: unknown = parse(find(objects, "ConfigMap")["data"]["varve.yaml"])
  const { config, ...flags } = settingsOfArguments(args, "varve-1")
  strictEqual(config, "/etc/varve/varve.yaml")
  const file = { path: config, content }
  return parseSettings({ flags, environment: {}, currentDirectory: "/varve", file }).settings
}

describe.each([...valuesFiles()])("helm chart with the values %s", (name, values) => {
  const objects = objectsOf(values)

  test(`is rendered as it stands in deploy/helm/rendered (else: ${writeCommand})`, () => {
    strictEqual(renderChart(values), readFileSync(renderedPath(name), "utf8"))
  })

  test("is what Kubernetes takes, and refers to nothing that is missing", () => {
    const faults = objects.map(schemaFault)
    deepStrictEqual(
      faults.filter((fault) => fault !== undefined),
      [],
    )
    deepStrictEqual(danglingReferences(objects), [])
  })

  test("passes the schema of its values", () => {
    deepStrictEqual(valueFaults(values), [])
  })

  test("runs locked down, and is probed on ports that it has", () => {
    const pod = find(objects, "StatefulSet")["spec"].template.spec
    const [container] = pod.containers
    ok(isLockedDown(pod, container))
    const ports = new Map(container.ports.map((port: { name: string }) => [port.name, port]))
    strictEqual(container.startupProbe.grpc.port, 7400)
    strictEqual(container.readinessProbe.grpc.port, 7400)
    ok(ports.has("grpc") && ports.has(container.livenessProbe.httpGet.port))
  })

  test("has settings that the daemon takes, each shard with a port", () => {
    const settings = settingsOf(objects)
    const { ports } = find(objects, "StatefulSet")["spec"].template.spec.containers[0]
    const numbers = ports.map(({ containerPort }: { containerPort: number }) => containerPort)
    const expected = Array.from({ length: settings.shards }, (_, shard) => 7400 + shard)
    deepStrictEqual(numbers, [...expected, 7480])
    strictEqual(settings.dataDir, "/data")
  })
})

describe("helm chart", () => {
  test("gives each pod a prefix of its own in the bucket", () => {
    const values = valuesFiles()
    match(settingsOf(objectsOf(values.get("replicas")!)).repository, /^s3:\/\/my-bucket\/varve\/varve-1\?/)
    match(
      settingsOf(objectsOf(values.get("ephemeral")!)).repository,
      /^s3:\/\/varve\/varve-1\?endpoint=http:\/\/minio\.storage:9000|^s3:\/\/varve\/varve-1\?endpoint=http%3A%2F%2Fminio\.storage%3A9000/,
    )
    strictEqual(settingsOf(objectsOf("")).repository, "file:/data/repository")
  })

  test("lets nobody in when no peers are named", () => {
    const objects = objectsOf(stringify({ networkPolicy: { workers: [], http: [] } }))
    deepStrictEqual(find(objects, "NetworkPolicy")["spec"].ingress, [])
  })

  test("starts pods anew when the configuration changes, and not when only the chart's version does", () => {
    const template = (values: string): unknown => find(objectsOf(values), "StatefulSet")["spec"].template
    const changed = stringify({ config: { stores: { default: { retention: { keepLast: 11 } } } } })
    ok(JSON.stringify(template("")) !== JSON.stringify(template(changed)))
    ok(!JSON.stringify(template("")).includes("helm.sh/chart"))
  })

  test("refuses to keep state nowhere", () => {
    throws(() => renderChart(stringify({ persistence: { enabled: false } })), /nothing would outlive a pod/)
  })

  const settings = "deploy/helm/README.md"
  test(`${settings} has every value, with its default`, () => {
    const rows = readFileSync(join(helm, "README.md"), "utf8").matchAll(/^\| `([\w.]+)` \| `(.*?)` \|/gm)
    const documented = Object.fromEntries([...rows].map(([, key, value]) => [key!, value!]))
    const values = parse(readFileSync(join(helm, "varve/values.yaml"), "utf8")) as Record<string, unknown>
    deepStrictEqual(documented, Object.fromEntries(leaves(values)))
  })
})

describe("helm chart: the schema of its values refuses", () => {
  test.each([
    ["replica: 3", "additional"],
    ["replicas: -1", "/replicas"],
    ['replicas: "3"', "/replicas"],
    ["shards: 65", "/shards"],
    ["image: {repository: 'varve:1'}", "/image/repository"],
    ["config: {grpc: 127.0.0.1:7400}", "/config/grpc"],
    ["config: {repository: {url: 's3://other'}}", "/config/repository/url"],
    ["config: {stores: {Default: {}}}", "/config/stores"],
    ["repository: {bucket: 's3://my-bucket'}", "/repository/bucket"],
    ["repository: {prefix: /varve/}", "/repository/prefix"],
    ["repository: {endpoint: minio:9000}", "/repository/endpoint"],
    ["persistence: {size: 20 GB}", "/persistence/size"],
    ["persistence: {accessModes: [ReadWriteMany]}", "/persistence/accessModes/0"],
    ["terminationGracePeriodSeconds: 10", "/terminationGracePeriodSeconds"],
    ["networkPolicy: {workers: [{}]}", "/networkPolicy/workers/0"],
    ["serviceMonitor: {interval: often}", "/serviceMonitor/interval"],
    ["resources: {limits: {memory: a lot}}", "/resources/limits/memory"],
  ])("%s", (values, fault) => {
    const faults = valueFaults(values)
    ok(
      faults.some((text) => text.includes(fault)),
      `${faults.join("; ") || "it was taken"}`,
    )
  })
})

/** Each value that the README names: lists, empty maps and `config` as one, maps by their fields. */
function leaves(tree: Record<string, unknown>, path = ""): [string, string][] {
  return Object.entries(tree).flatMap(([key, value]): [string, string][] => {
    const isMap = typeof value === "object" && value !== null && !Array.isArray(value)
    if (isMap && Object.keys(value).length > 0)
      return leaves(value as Record<string, unknown>, `${path}${key}.`)
    return [[`${path}${key}`, JSON.stringify(value)]]
  })
}
