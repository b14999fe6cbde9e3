// server/README.md says what the code does: its tables of settings and metrics are compared with the code.

import { deepStrictEqual, ok } from "node:assert"
import { readFile } from "node:fs/promises"
import { type SettingRow, settingRows, storeSettingRows } from "@varve/server"
import { test } from "vitest"
import { startDaemon } from "./daemon.ts"

const readme = await readFile(new URL("../../server/README.md", import.meta.url), "utf8")

/** Cells of the table rows that start with a name in backticks, by that name. */
function rowsOf(section: string): Map<string, string[]> {
  const text = readme.split(/^## /m).find((each) => each.startsWith(section)) ?? ""
  const rows = [...text.matchAll(/^\| `([A-Za-z_.]+)` \|(.*)\|$/gm)]
  return new Map(rows.map(([, name, rest]) => [name!, rest!.split("|").map((cell) => cell.trim())]))
}

test("README: the settings tables are the settings", () => {
  const rows = rowsOf("Settings")
  const all: readonly SettingRow[] = [...settingRows, ...storeSettingRows]
  deepStrictEqual(
    [...rows.keys()],
    all.map(({ key }) => key),
  )
  for (const { key, flag, unit, allowed, default: standard, description } of all) {
    const [flagCell, , ...others] = rows.get(key)!
    deepStrictEqual(
      [flagCell, ...others],
      [flag === undefined ? "" : `\`${flag}\``, unit, allowed, `\`${standard}\``, description],
    )
  }
})

test("README: the metrics table is what /metrics offers", async () => {
  const daemon = await startDaemon()
  try {
    const text = await (await fetch(`${daemon.http}/metrics`)).text()
    const offered = [...text.matchAll(/^# HELP ((?:varve|grpc)_\S+) (.+)$/gm)].map(([, name, help]) => [
      name,
      help,
    ])
    ok(offered.length > 20)
    deepStrictEqual([...rowsOf("Metrics")].map(([name, [, help]]) => [name, help]).sort(), offered.sort())
  } finally {
    await daemon.stop()
  }
})
