// What the rest of the package knows of the append log.

import type { EngineDefinition } from "../../core.ts"
import { loadIndex } from "../../hashed/load-index.ts"
import { mergeHashedRuns } from "../../runs/merge-runs.ts"
import { openAppendLog } from "./append-log.ts"
import { type AppendLogSettings, parseAppendLogSettings } from "./settings.ts"

export const appendLogDefinition: EngineDefinition<AppendLogSettings> = {
  name: "append-log",
  parseSettings: parseAppendLogSettings,
  async open(host, engineState) {
    return openAppendLog(host, await loadIndex(host.runs, engineState))
  },
  merging: ({ compactionEnabled, maxRunsPerLevel }) =>
    compactionEnabled ? { policy: { maxRunsPerLevel }, merge: mergeHashedRuns } : undefined,
}
