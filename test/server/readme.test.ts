// server/README.md and engines/README.md say what the code does: their tables of settings are compared with the code.

import { deepStrictEqual } from "node:assert"
import { readFile } from "node:fs/promises"
import { engineNames } from "@varve/engines"
import { definitionOf } from "@varve/engines/internal"
import { type SettingRow, settingRows, storeSettingRows } from "@varve/server"
import { test } from "vitest"

const MIB = 1024 * 1024
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

test("README: the table of engines has each setting with its default", async () => {
  const page = await readFile(new URL("../../engines/README.md", import.meta.url), "utf8")
  for (const engine of engineNames) {
    const row = page.split("\n").find((line) => line.startsWith(`| \`${engine}\` |`))!
    const told = [...row.matchAll(/`(\w+)` (true|[\d.]+(?: MiB)?)/g)].map(([, name, value]) => [name, value])
    const settings = definitionOf(engine).settingsSchema.parse({}) as Record<string, unknown>
    const defaults = Object.entries(settings).map(([name, value]) => [name, text(value)])
    deepStrictEqual(told.sort(), defaults.sort())
  }
})

function text(value: unknown): string {
  return typeof value === "number" && value >= MIB ? `${value / MIB} MiB` : String(value)
}
