// What the rest of the package knows of the hybrid log.

import type { EngineDefinition } from "../../core.ts"
import { defineHashedEngine } from "../../hashed/define-hashed-engine.ts"
import { openHybridLog } from "./hybrid-log.ts"
import {
  type HybridLogSettings,
  hybridLogSettingsSchema,
  MEM_SEGMENT_BYTES_MAX,
  MEM_SEGMENT_BYTES_MIN,
} from "./settings.ts"

export const hybridLogDefinition: EngineDefinition<HybridLogSettings> = defineHashedEngine({
  name: "hybrid-log",
  settingsSchema: hybridLogSettingsSchema,
  settingsFor: (runBytes) => ({
    memSegmentLength: Math.min(MEM_SEGMENT_BYTES_MAX, Math.max(MEM_SEGMENT_BYTES_MIN, runBytes >>> 3)),
    roLagInterval: runBytes,
    flushInterval: runBytes,
  }),
  open: openHybridLog,
})
