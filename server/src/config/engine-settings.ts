// Parameters of engines, checked with the other settings: before anything is made on disk, and by the key that the
// operator wrote. The forms are the engines' own.

import { definitionOf } from "@varve/engines/internal"
import { nearestName } from "./nearest-name.ts"
import { SettingsError } from "./settings.ts"

/**
 * Checks the parameters that stand under `key`.
 * @throws SettingsError naming the parameter, the value, its source and what is allowed
 */
export function checkEngineSettings(
  engine: string,
  settings: Readonly<Record<string, unknown>>,
  key: string,
  source: string,
): void {
  const form = definitionOf(engine).settingsSchema
  const known = Object.keys(form.shape)
  for (const name of Object.keys(settings)) {
    if (known.includes(name)) continue
    const nearest = nearestName(name, known)
    const hint = nearest === undefined ? "" : `did you mean ${nearest}? `
    const allowed = known.length === 0 ? "this engine has none" : `allowed: ${known.join(", ")}`
    throw new SettingsError(
      `${key}.${name}: no such setting of the engine ${engine} (from ${source}); ${hint}${allowed}`,
    )
  }
  const issue = form.safeParse(settings).error?.issues[0]
  if (issue === undefined) return
  const name = String(issue.path[0])
  const shown = JSON.stringify(settings[name]) ?? String(settings[name])
  throw new SettingsError(`${key}.${name}: ${shown} (from ${source}) is not allowed; ${issue.message}`)
}
