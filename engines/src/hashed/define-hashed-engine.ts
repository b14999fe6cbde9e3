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

/** What a hashed engine may be given besides. */
interface HashedHost<Settings> extends CoreHost<Settings> {
  /** See `loadIndex`; so that in tests small states are served while they are loaded. */
  readonly recordsAtOnceMax?: number
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
    async open(host: HashedHost<Settings>, engineState) {
      const { runs, isListedOtherwise, recordsAtOnceMax } = host
      return own.open(host, await loadIndex(runs, engineState, isListedOtherwise, recordsAtOnceMax))
    },
    merging: ({ compactionEnabled, maxRunsPerLevel }) =>
      compactionEnabled ? { policy: { maxRunsPerLevel }, merge: mergeHashedRuns } : undefined,
  }
}
