// Reads the configuration file, if one is named, and hands all sources to `parseSettings`.

import { readFile } from "node:fs/promises"
import { resolve } from "node:path"
import { parseSettings } from "./parse-settings.ts"
import { type Settings, SettingsError } from "./settings.ts"

export interface SettingSources {
  /** By property, as the command line parser gives them; `config` names the file. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Absolute. */
  readonly currentDirectory: string
}

const FILE_BYTES_MAX = 1024 * 1024

/** Settings from flags, environment and the file named by `--config` or VARVE_CONFIG. @throws SettingsError */
export async function loadSettings(
  sources: SettingSources,
): Promise<{ settings: Settings; warnings: string[] }> {
  const named = sources.flags["config"] ?? sources.environment["VARVE_CONFIG"]
  if (named === undefined || named === "") return parseSettings({ ...sources, file: undefined })
  const path = resolve(sources.currentDirectory, String(named))
  return parseSettings({ ...sources, file: { path, content: await readYaml(path) } })
}

async function readYaml(path: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(path, "utf8")
  } catch (error) {
    throw new SettingsError(`config: ${path} cannot be read: ${(error as Error).message}`)
  }
  if (text.length > FILE_BYTES_MAX) {
    throw new SettingsError(
      `config: ${path} has ${text.length} characters; at most ${FILE_BYTES_MAX} are allowed`,
    )
  }
  // Most daemons have no file: what reads one is loaded for those that have.
  const { parse } = await import("yaml")
  try {
    return parse(text, { maxAliasCount: 0 })
  } catch (error) {
    throw new SettingsError(`config: ${path} is not valid YAML: ${(error as Error).message}`)
  }
}
