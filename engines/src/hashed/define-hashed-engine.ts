// The definition of a hashed engine: what all of them have in common, put to what one has of its own.

import type { CoreHost, EngineDefinition } from "../core.ts"
import { mergeHashedRuns } from "../runs/merge-runs.ts"
import type { MergeSettings } from "../runs/merge-settings.ts"
import type { HashedLog } from "./hashed-log.ts"
import { type LoadedIndex, loadIndex } from "./load-index.ts"

interface OwnParts<Settings>
  extends Pick<EngineDefinition<Settings>, "name" | "settingsSchema" | "settingsFor"> {
  open(host: CoreHost<Settings>, loaded: LoadedIndex): HashedLog
}

export function defineHashedEngine<Settings extends MergeSettings>(
  own: OwnParts<Settings>,
): EngineDefinition<Settings> {
  return {
    name: own.name,
    settingsSchema: own.settingsSchema,
    settingsFor: own.settingsFor,
    scansInOrder: false,
    countsExactly: true,
    async open(host, engineState) {
      return own.open(host, await loadIndex(host.runs, engineState, host.isListedOtherwise))
    },
    merging: ({ compactionEnabled, maxRunsPerLevel }) =>
      compactionEnabled ? { policy: { maxRunsPerLevel }, merge: mergeHashedRuns } : undefined,
  }
}
