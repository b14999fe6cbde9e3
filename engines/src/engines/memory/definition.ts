// What the rest of the package knows of the memory engine.

import { z } from "zod"
import type { EngineDefinition } from "../../core.ts"
import { MemoryEngine, type MemorySettings } from "./memory-engine.ts"

export const memoryDefinition: EngineDefinition<MemorySettings> = {
  name: "memory",
  settingsSchema: z.strictObject({}),
  settingsFor: () => ({}),
  scansInOrder: true,
  countsExactly: true,
  open: (host, engineState) => MemoryEngine.open(host, engineState),
  merging: () => undefined,
}
