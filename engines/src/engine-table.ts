// Every engine there is. A new one is added here and to `engineNames` of `engine.ts`.

import { z } from "zod"
import { EngineError } from "./base/error.ts"
import type { EngineDefinition } from "./core.ts"
import { type EngineName, engineNames } from "./engine.ts"
import { appendLogDefinition } from "./engines/append-log/definition.ts"
import { hybridLogDefinition } from "./engines/hybrid-log/definition.ts"
import { lsmTreeDefinition } from "./engines/lsm-tree/definition.ts"
import { memoryDefinition } from "./engines/memory/definition.ts"

const definitions = {
  memory: memoryDefinition,
  "append-log": appendLogDefinition,
  "hybrid-log": hybridLogDefinition,
  "lsm-tree": lsmTreeDefinition,
} as const satisfies Record<EngineName, { readonly name: EngineName }>

/** The engine of this name, and its settings as a form. @throws EngineError `ENGINE_UNKNOWN` */
export function definitionOf(name: string): EngineDefinition<unknown> {
  const known = engineNames.find((each) => each === name)
  if (known !== undefined) return definitions[known] as EngineDefinition<unknown>
  throw new EngineError("ENGINE_UNKNOWN", `there is no engine "${name}"; there are ${engineNames.join(", ")}`)
}

/**
 * Settings of the engine from plain data, with defaults for those left out.
 * @throws EngineError `SETTING_INVALID`, naming each setting, its value and what is allowed
 */
export function parseEngineSettings<Settings>(
  { name, settingsSchema }: EngineDefinition<Settings>,
  settings: unknown,
): Settings {
  const parsed = settingsSchema.safeParse(settings ?? {})
  if (parsed.success) return parsed.data as Settings
  throw new EngineError("SETTING_INVALID", `${name}: ${z.prettifyError(parsed.error)}`)
}
