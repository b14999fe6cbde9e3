// serve: runs the daemon in this process. Its flags are rows of the settings table.

import type { Command } from "commander"
import { runDaemon, type SettingRow, settingRows, storeSettingRows } from "../index.ts"
import type { CommandContext } from "./command-context.ts"

/** Gives `serve` its flags and its action. */
export function completeServe(serve: Command, { terminal, exitWith }: CommandContext): void {
  serve.option("--config <file>", "settings from a YAML file")
  for (const row of settingRows) addFlag(serve, row, "")
  for (const row of storeSettingRows) addFlag(serve, row, " (of the store default)")
  serve.action(async (flags: Readonly<Record<string, unknown>>) => {
    exitWith(await runDaemon({ flags, environment: terminal.environment, currentDirectory: process.cwd() }))
  })
}

function addFlag(serve: Command, row: SettingRow, remark: string): void {
  if (row.flag === undefined) return
  const description = row.description.replace(/\.$/, "")
  serve.option(
    `${row.flag} <${row.unit}>`,
    `${description}${remark}; allowed: ${row.allowed}; default: ${row.default}`,
  )
}
