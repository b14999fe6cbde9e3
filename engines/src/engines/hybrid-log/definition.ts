// What the rest of the package knows of the hybrid log.

import type { EngineDefinition } from "../../core.ts"
import { loadIndex } from "../../hashed/load-index.ts"
import { mergeHashedRuns } from "../../runs/merge-runs.ts"
import { openHybridLog } from "./hybrid-log.ts"
import { type HybridLogSettings, parseHybridLogSettings } from "./settings.ts"

export const hybridLogDefinition: EngineDefinition<HybridLogSettings> = {
  name: "hybrid-log",
  parseSettings: parseHybridLogSettings,
  async open(host, engineState) {
    return openHybridLog(host, await loadIndex(host.runs, engineState))
  },
  merging: ({ compactionEnabled, maxRunsPerLevel }) =>
    compactionEnabled ? { policy: { maxRunsPerLevel }, merge: mergeHashedRuns } : undefined,
}
