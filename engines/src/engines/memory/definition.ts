// What the rest of the package knows of the memory engine.

import { z } from "zod"
import { EngineError } from "../../base/error.ts"
import type { EngineDefinition } from "../../core.ts"
import { MemoryEngine, type MemorySettings } from "./memory-engine.ts"

const memorySettingsSchema = z.strictObject({})

export const memoryDefinition: EngineDefinition<MemorySettings> = {
  name: "memory",
  parseSettings(settings) {
    const parsed = memorySettingsSchema.safeParse(settings ?? {})
    if (!parsed.success) {
      throw new EngineError("SETTING_INVALID", `memory: it has no settings; ${z.prettifyError(parsed.error)}`)
    }
    return {}
  },
  open: (host) => MemoryEngine.open(host),
  merging: () => undefined,
}
