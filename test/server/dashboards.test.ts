// Every query of the dashboards and every rule, asked of a real Prometheus that watches a real daemon at work: none may
// fail and none may be empty, as a misspelt name is. Conditions that do not hold are empty too: of them, what they compare.

import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "@varve/client"
import { afterAll, beforeAll, test } from "vitest"
import {
  committedDashboards,
  committedRules,
  prometheusConfiguration,
  prometheusFolder,
  type Rule,
} from "../dashboards/committed.ts"
import { hasCondition, operandsOf } from "../dashboards/expressions.ts"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { PrometheusServer } from "./prometheus-server.ts"
import { until } from "./until.ts"

const VERSIONS = 6
const KEYS = 300
const VALUE_BYTES = 1000
/** What Grafana puts in; everything that the daemon did lies within the last minutes. */
const grafana = { __rate_interval: "5m", __range: "5m" }

/** Small memory, so that a short load flushes, merges and reads from disk. */
const settings = {
  shards: 2,
  stores: {
    counts: {
      engine: "lsm-tree",
      partitions: 2,
      retention: { keepLast: 5 },
      settings: { memtableBytesLimit: 65_536, maxRunsPerLevel: 2 },
    },
    ledger: { engine: "hybrid-log", partitions: 2, durability: "log" },
  },
}

const ended = [
  `min(varve_snapshot_last_version) == ${VERSIONS}`,
  "min(varve_snapshot_last_verified_timestamp_seconds) > 0",
  "varve_gc_last_timestamp_seconds > 0",
].join(" and on () ")

let directory: string
let daemon: TestDaemon
let prometheus: PrometheusServer
/** Of a scrape after the load: all is asked as of then, so that a later scrape that takes too long changes nothing. */
let moment: number

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "varve-dashboards-"))
  const config = join(directory, "varve.yaml")
  await writeFile(config, JSON.stringify(settings))
  daemon = await startDaemon({ directory, flags: ["--config", config] })
  prometheus = await PrometheusServer.start(watching(new URL(daemon.http).host))
  await untilSome("the first scrape", () => prometheus.query("up == 1 and on (instance) varve_build_info"))
  for (const store of Object.keys(settings.stores)) await live(store)
  const done = `timestamp(varve_build_info) and on () ${ended} and on () ${recorded()}`
  const [scrape] = await untilSome("a scrape after the load", () => prometheus.query(done))
  moment = scrape!.value
})

afterAll(async () => {
  await prometheus?.stop()
  await daemon?.stop()
  await rm(directory, { recursive: true, force: true })
})

test("dashboards: every query of every panel has an answer", async () => {
  const dashboards = committedDashboards()
  const empty: string[] = []
  let queries = 0
  for (const { title: dashboard, panels, annotations } of dashboards) {
    const asked = [
      ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr }))),
      ...annotations.list.flatMap(({ name, expr }) =>
        operandsOf(expr).map((operand) => ({ title: `annotation ${name}`, expr: operand })),
      ),
    ]
    for (const { title, expr } of asked) {
      queries++
      const samples = await prometheus.query(substituted(expr), moment)
      if (!samples.some(({ value }) => !Number.isNaN(value))) empty.push(`${dashboard}, ${title}: ${expr}`)
    }
  }
  deepStrictEqual(empty, [])
  const panels = dashboards.reduce((sum, dashboard) => sum + dashboard.panels.length, 0)
  process.stdout.write(`${dashboards.length} dashboards, ${panels} panels, ${queries} queries\n`)
})

test("dashboards: every choice has values", async () => {
  for (const { templating } of committedDashboards()) {
    for (const { name, definition = "" } of templating.list.filter(({ type }) => type === "query")) {
      const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(substituted(definition))!
      ok((await prometheus.labelValues(label!, selector!)).length > 0, name)
    }
  }
})

test("rules: Prometheus evaluates all of them, and everything that they compare is there", async () => {
  const rules = committedRules()
  const states = await untilSome("an evaluation of all rules", async () => {
    const found = await prometheus.rules()
    return found.some(({ health }) => health === "unknown") ? [] : found
  })
  deepStrictEqual(states.map(({ name }) => name).sort(), rules.map(nameOf).sort())
  const unwell = states.filter(({ health }) => health !== "ok")
  deepStrictEqual(
    unwell.map(({ name, lastError }) => [name, lastError]),
    [],
  )
  for (const rule of rules) {
    const labelNames = [...JSON.stringify(rule.annotations ?? {}).matchAll(/\$labels\.(\w+)/g)].map(
      ([, name]) => name!,
    )
    for (const [index, operand] of operandsOf(rule.expr).entries()) {
      ok(!hasCondition(operand), `${nameOf(rule)}: the test does not see into ${operand}`)
      const samples = await prometheus.query(operand, moment)
      ok(samples.length > 0, `${nameOf(rule)}: ${operand} is empty`)
      if (index > 0) continue
      // An alert carries the labels of what it compares first: those that its texts name have to be among them.
      for (const { metric } of samples)
        deepStrictEqual(
          labelNames.filter((name) => !(name in metric)),
          [],
          nameOf(rule),
        )
    }
  }
  const alerts = rules.filter(({ alert }) => alert !== undefined)
  process.stdout.write(`${alerts.length} alerts, ${rules.length - alerts.length} recordings\n`)
})

test("overview: the first row says what is so", async () => {
  const { panels } = committedDashboards().find(({ uid }) => uid === "varve-overview")!
  const shown = async (title: string): Promise<number> => {
    const { targets } = panels.find((panel) => panel.title === title)!
    return (await prometheus.query(substituted(targets[0]!.expr), moment))[0]!.value
  }
  const PASSED = 0
  strictEqual(await shown("Serving"), 1)
  strictEqual(await shown("Failing"), 0)
  strictEqual(await shown("Last drill"), PASSED)
  for (const title of ["Operations", "Latency p99", "Newest version", "Would be lost", "Recovery takes"])
    ok((await shown(title)) > 0, title)
})

test("alerts: those that tell of damage are silent; when the daemon is killed, that is told, and of whom", async () => {
  const damage = "VarvePartition.+|VarveData.+|VarveSnapshots.+|VarveDrill.+|VarveNo.+|VarveVersion.+"
  deepStrictEqual(await prometheus.query(`ALERTS{alertname=~"${damage}",alertstate="firing"}`, moment), [])
  await daemon.kill("SIGKILL")
  await untilSome("VarveDown", () => prometheus.query('ALERTS{alertname="VarveDown"}'))
  const alerts = (await prometheus.rules()).find(({ name }) => name === "VarveDown")?.alerts ?? []
  deepStrictEqual(
    alerts.map(({ annotations }) => annotations["summary"]),
    [`Varve on ${new URL(daemon.http).host} does not answer`],
  )
})

/** Holds when every recording has been made. */
function recorded(): string {
  const names = committedRules().flatMap(({ record }) => (record === undefined ? [] : [record]))
  return names.map((name) => `count(${name})`).join(" and on () ")
}

function nameOf({ alert, record }: Rule): string {
  return alert ?? record ?? "a rule without a name"
}

/** The configuration of `deploy/prometheus`, for the daemon at `target`, and impatient. */
function watching(target: string): object {
  const { global, rule_files: files, scrape_configs: scrapes } = prometheusConfiguration()
  strictEqual(scrapes.length, 1)
  return {
    global: { ...global, scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: files.map((file) => join(prometheusFolder, file)),
    scrape_configs: scrapes.map((scrape) => ({ ...scrape, static_configs: [{ targets: [target] }] })),
  }
}

/**
 * Everything that a store does: writes, versions and merges, a restore, reads from disk, a drill, a pruning, a
 * collection.
 */
async function live(store: string): Promise<void> {
  const state = connect(daemon.grpc, { store })
  const key = (index: number): string => `key ${index}`
  for (let version = 1; version < VERSIONS; version++) {
    await Promise.all(
      Array.from({ length: KEYS }, (_, index) =>
        state.set(key(index), Buffer.alloc(VALUE_BYTES, `${version} ${index} `)),
      ),
    )
    await state.snapshot({ version })
  }
  await state.restore({ version: VERSIONS - 1 })
  for (let read = 0; read < 2; read++)
    await Promise.all(Array.from({ length: KEYS }, (_, index) => state.get(key(index))))
  await state.set("last", "write", { ifAbsent: true })
  await rejects(state.set("last", "write", { ifAbsent: true }), { reason: "CONDITION_FAILED" })
  await state.snapshot({ version: VERSIONS })
  await state.set("not", "in a version")
  await state.close()
  for (const path of [`stores/${store}/drill`, `stores/${store}/prune`, "gc"]) {
    const headers = { "content-type": "application/json" }
    const answer = await fetch(`${daemon.http}/v1/${path}`, { method: "POST", body: "{}", headers })
    strictEqual(answer.status, 200, await answer.text())
  }
}

function substituted(expression: string): string {
  return expression.replace(
    /\$\{?(\w+)\}?/g,
    (_, name: string) => grafana[name as keyof typeof grafana] ?? ".*",
  )
}

/** What `find` finds, when that is no longer nothing. */
function untilSome<Found>(what: string, find: () => Promise<readonly Found[]>): Promise<readonly Found[]> {
  return until(what, async () => {
    const found = await find()
    return found.length > 0 ? found : undefined
  })
}
