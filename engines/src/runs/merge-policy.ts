// When runs are merged: tiered. A level that holds `maxRunsPerLevel` runs becomes, as a whole, one run of the next
// level. Whole levels, because then everything in a level is newer than everything in the levels above it, and
// the order of runs needs no more than level and number.

import { assert } from "../base/assert.ts"
import { compareNewestFirst, type RunFigures } from "./run.ts"

export interface MergePolicy {
  /** A level that holds this many runs is merged; at least 2. */
  readonly maxRunsPerLevel: number
}

export interface MergePlan<Run> {
  /** Newest first: all runs of one level. */
  readonly inputs: readonly Run[]
  readonly outputLevel: number
  /** No older run remains that could hold a key which a tombstone deletes. */
  readonly dropsTombstones: boolean
}

/** The next merge, of the lowest level that is due; undefined when none is. */
export function planMerge<Run extends Pick<RunFigures, "level" | "run">>(
  runs: readonly Run[],
  policy: MergePolicy,
): MergePlan<Run> | undefined {
  assert(policy.maxRunsPerLevel >= 2, "a merge has two inputs or more")
  const levels = [...new Set(runs.map((run) => run.level))].sort((a, b) => a - b)
  for (const level of levels) {
    const inputs = runs.filter((run) => run.level === level)
    if (inputs.length < policy.maxRunsPerLevel) continue
    return {
      inputs: inputs.sort(compareNewestFirst),
      outputLevel: level + 1,
      dropsTombstones: !runs.some((run) => run.level > level),
    }
  }
  return undefined
}
