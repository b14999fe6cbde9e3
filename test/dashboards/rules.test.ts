// The rules for Prometheus: each alert fires when it should and is silent when it should not (alerts.yml and
// slow-alerts.yml, by Prometheus's own promtool), and says how bad it is, what is wrong, and where it says what to do.

import { deepStrictEqual, match, ok, strictEqual } from "node:assert"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { isReason } from "@varve/proto"
import { test } from "vitest"
import { parse } from "yaml"
import { committedDashboards, committedRules, prometheusFolder } from "./committed.ts"

const run = promisify(execFile)
const testFiles = ["alerts.yml", "slow-alerts.yml"].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
)

interface AlertTest {
  readonly name: string
  readonly promql_expr_test: readonly { readonly exp_samples: readonly { readonly labels: string }[] }[]
}

const alerts = committedRules().flatMap(({ alert, ...rule }) =>
  alert === undefined ? [] : [{ alert, ...rule }],
)
const alertTests = testFiles.flatMap(
  (file) => (parse(readFileSync(file, "utf8")) as { tests: AlertTest[] }).tests,
)

test("rules: Prometheus takes the configuration and the rules that it names", async () => {
  await run("promtool", ["check", "config", join(prometheusFolder, "prometheus.yml")])
  strictEqual(new Set(alerts.map(({ alert }) => alert)).size, alerts.length)
})

test("rules: promtool finds every alert firing when it should, and silent when not", async () => {
  await run("promtool", ["test", "rules", ...testFiles])
})

test("rules: every alert has a test in which it alone fires, and a moment at which nothing does", () => {
  for (const { alert } of alerts) {
    const moments = alertTests.filter(({ name }) => name === alert).flatMap((found) => found.promql_expr_test)
    ok(
      moments.some((moment) => moment.exp_samples.length === 0),
      alert,
    )
    const fired = moments.flatMap((moment) => moment.exp_samples.map(({ labels }) => labels))
    ok(fired.length > 0, alert)
    for (const labels of fired) strictEqual(labels, `{alertname="${alert}"}`)
  }
})

test("rules: every alert says how bad it is, what is wrong with whom, and where it says what to do", () => {
  for (const { alert, labels, annotations = {} } of alerts) {
    ok(["critical", "warning"].includes(labels?.["severity"] ?? ""), alert)
    match(annotations["summary"] ?? "", /\$labels\.\w+/, alert)
    match(annotations["description"] ?? "", /\.$/, alert)
    strictEqual(annotations["runbook"], `deploy/alerts.md#${alert.toLowerCase()}`)
  }
})

test("rules and dashboards: the reasons of errors that they name are in the table of errors", () => {
  const panels = committedDashboards().flatMap((dashboard) => dashboard.panels)
  const expressions = [...committedRules(), ...panels.flatMap(({ targets }) => targets)].map(
    ({ expr }) => expr,
  )
  const named = expressions.flatMap((expr) =>
    [...expr.matchAll(/\breason=~"([A-Z_|]+)"/g)].map(([, names]) => names!),
  )
  ok(named.length >= 3)
  const unknown = named.flatMap((names) => names.split("|")).filter((reason) => !isReason(reason))
  deepStrictEqual(unknown, [])
})
