// What the rest of the package knows of the LSM-tree.

import type { EngineDefinition } from "../../core.ts"
import { mergeSortedRuns } from "../../runs/merge-sorted-runs.ts"
import { LsmTree } from "./lsm-tree.ts"
import { type LsmTreeSettings, lsmTreeSettingsSchema } from "./settings.ts"

export const lsmTreeDefinition: EngineDefinition<LsmTreeSettings> = {
  name: "lsm-tree",
  settingsSchema: lsmTreeSettingsSchema,
  settingsFor: (runBytes) => ({ memtableBytesLimit: runBytes }),
  scansInOrder: true,
  countsExactly: false,
  open: (host) => LsmTree.open(host),
  merging({ compactionEnabled, maxRunsPerLevel, memtableBytesLimit, densityFactor, bloomFalsePositiveRate }) {
    if (!compactionEnabled) return undefined
    const shape = { densityFactor, bloomFalsePositiveRate }
    return {
      policy: { maxRunsPerLevel, levelBytes: memtableBytesLimit },
      merge: (executor, input) => executor.run(mergeSortedRuns, { ...input, shape }),
    }
  },
}
