// What the rest of the package knows of the append log.

import type { EngineDefinition } from "../../core.ts"
import { defineHashedEngine } from "../../hashed/define-hashed-engine.ts"
import { openAppendLog } from "./append-log.ts"
import { type AppendLogSettings, appendLogSettingsSchema } from "./settings.ts"

export const appendLogDefinition: EngineDefinition<AppendLogSettings> = defineHashedEngine({
  name: "append-log",
  settingsSchema: appendLogSettingsSchema,
  settingsFor: (runBytes) => ({ threshold: runBytes }),
  open: openAppendLog,
})
