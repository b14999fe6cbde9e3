// Parameters of engines, checked with the other settings: before anything is made on disk, and by the key that the
// operator wrote. The forms are the engines' own; an engine that has none here checks for itself when it opens.

import {
  appendLogSettingsSchema,
  hybridLogSettingsSchema,
  lsmTreeSettingsSchema,
} from "@varve/engines/internal"
import { z } from "zod"
import { nearestName } from "./nearest-name.ts"
import { SettingsError } from "./settings.ts"

const forms: Readonly<Record<string, z.ZodObject>> = {
  "append-log": appendLogSettingsSchema,
  "hybrid-log": hybridLogSettingsSchema,
  "lsm-tree": lsmTreeSettingsSchema,
  memory: z.strictObject({}),
}

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
  const form = forms[engine]
  if (form === undefined) return
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
