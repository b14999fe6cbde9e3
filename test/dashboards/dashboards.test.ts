// The committed dashboards: that they are those of the descriptions, and that Grafana can make sense of them. Whether
// their queries have answers is asked of a real Prometheus in test/server/dashboards.test.ts.

import { deepStrictEqual, match, ok, strictEqual } from "node:assert"
import { describe, test } from "vitest"
import { dashboardFiles } from "./all-dashboards.ts"
import { type CommittedPanel, committedDashboards, committedTexts } from "./committed.ts"
import { hasCondition, operandsOf } from "./expressions.ts"

const PANELS_MAX = 14
const WIDTH = 24
const dashboards = committedDashboards()

test("dashboards: the files are what the descriptions make; npm run dashboards writes them", () => {
  deepStrictEqual(
    committedTexts(),
    new Map(
      dashboardFiles()
        .map(({ name, text }) => [name, text] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  )
})

test("dashboards: uids and titles differ, and every link leads to one of the others", () => {
  const uids = dashboards.map(({ uid }) => uid)
  strictEqual(new Set(uids).size, dashboards.length)
  strictEqual(new Set(dashboards.map(({ title }) => title)).size, dashboards.length)
  for (const { uid, links } of dashboards) {
    match(uid, /^[a-z-]{1,40}$/)
    deepStrictEqual(
      links.map(({ url }) => url).sort(),
      uids
        .filter((other) => other !== uid)
        .map((other) => `/d/${other}`)
        .sort(),
    )
  }
})

describe.each(dashboards)("$title", (dashboard) => {
  const { panels, templating, annotations } = dashboard

  test("panels are few, have their own ids, and do not overlap", () => {
    ok(panels.length > 0 && panels.length <= PANELS_MAX, `${panels.length} panels`)
    strictEqual(new Set(panels.map(({ id }) => id)).size, panels.length)
    const taken = new Map<string, string>()
    for (const { title, gridPos } of panels) {
      ok(gridPos.x + gridPos.w <= WIDTH, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          strictEqual(taken.get(`${x},${y}`), undefined, `${title} overlaps`)
          taken.set(`${x},${y}`, title)
        }
      }
    }
    const height = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h))
    strictEqual(taken.size, WIDTH * height, "there is a gap")
  })

  test("every panel says what it shows, in which unit, from which colour on", () => {
    strictEqual(new Set(panels.map(({ title }) => title)).size, panels.length)
    for (const panel of panels) {
      match(panel.description, /^[A-Z].{15,}\.$/s, panel.title)
      if (panel.type !== "table") ok(unitOf(panel) !== undefined, panel.title)
      const { steps } = panel.fieldConfig.defaults.thresholds ?? { steps: [] }
      for (const [index, { value }] of steps.entries()) {
        ok(index === 0 ? value === null : value! > (steps[index - 1]!.value ?? -1), panel.title)
      }
      if (panel.type === "timeseries") ok(panel.options.legend !== undefined, panel.title)
      strictEqual(new Set(panel.targets.map(({ refId }) => refId)).size, panel.targets.length)
      ok(
        panel.targets.length > 0 && panel.targets.every(({ legendFormat }) => legendFormat !== ""),
        panel.title,
      )
    }
  })

  test("every choice is used, and every query goes by the instance", () => {
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    const definitions = templating.list.map(({ definition = "" }) => definition)
    for (const { name } of templating.list.filter(({ type }) => type === "query")) {
      const isUsed = [...expressions, ...definitions].some((text) => text.includes(`$${name}"`))
      ok(isUsed, `nothing uses ${name}`)
    }
    const names = ["__rate_interval", "__range", ...templating.list.map(({ name }) => name)]
    for (const expression of [...expressions, ...annotations.list.map(({ expr }) => expr)]) {
      for (const [, name] of expression.matchAll(/\$\{?(\w+)/g)) ok(names.includes(name!), expression)
      // Rates go by the scrape interval and the width of the panel; marks on panels have none.
      if (expressions.includes(expression)) ok(!/(?:rate|increase)\([^[]*\[\d/.test(expression), expression)
      for (const [selector] of expression.matchAll(/\b(?:varve|grpc|process|nodejs)_\w+\{?[^}]*/g))
        ok(selector.includes('instance=~"$instance"'), selector)
    }
  })
})

test("expressions: conditions are taken apart, and nothing else is", () => {
  deepStrictEqual(operandsOf('a{b="x > y",c!="or"} > 2 * b and (c == 1 or sum by (d) (e) unless on (f) g)'), [
    'a{b="x > y",c!="or"}',
    "2 * b",
    "c",
    "1",
    "sum by (d) (e)",
    "g",
  ])
  deepStrictEqual(operandsOf("(a + b) / (c - d)"), ["(a + b) / (c - d)"])
  deepStrictEqual(operandsOf("a>bool 1"), ["a", "1"])
  deepStrictEqual(operandsOf("vector_or + android"), ["vector_or + android"])
  deepStrictEqual(operandsOf("time() - a >= 1"), ["time() - a", "1"])
  ok(hasCondition("sum(a > 1)") && hasCondition("a!=1"))
  ok(!hasCondition("sum(a > bool 1) == bool 0") && !hasCondition("a >= bool 1"))
  ok(!hasCondition('sum(a{b!="c",d=~"e"}) / f'))
})

function unitOf({ fieldConfig, options }: CommittedPanel): string | undefined {
  return fieldConfig.defaults.unit ?? options.yAxis?.unit
}
