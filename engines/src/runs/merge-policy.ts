// When runs are merged.
//
//   tiered      a level that holds `maxRunsPerLevel` runs, 2 or more, becomes, as a whole, one run of the next level
//   levelling   with 1: each level above 0 holds one run, of at most `levelBytes · LEVEL_RATIO^level`; a second run
//               in level 0 is merged with the run of level 1, and with those below that for as long as the result
//               outgrows its level (P. O'Neil et al., "The Log-Structured Merge-Tree", 1996)
//
// Whole levels, always, because then everything in a level is newer than everything in the levels above it, and the
// order of runs needs no more than level and number. No output goes to level 0, where a run that is being flushed
// may already have a lower number than the output.

import { assert } from "../base/assert.ts"
import { compareNewestFirst, RUN_LEVEL_MAX, type RunFigures } from "./run.ts"

/** How much longer the run of a level may be than that of the level before. */
const LEVEL_RATIO = 10

export interface MergePolicy {
  /** A level that holds this many runs is merged; 1 means levelling. */
  readonly maxRunsPerLevel: number
  /** For levelling: the length of a run in level 0, in bytes. */
  readonly levelBytes?: number
}

export interface MergePlan<Run> {
  /** Newest first: all runs of one level, or of several levels side by side. */
  readonly inputs: readonly Run[]
  readonly outputLevel: number
  /** No older run remains that could hold a key which a tombstone deletes. */
  readonly dropsTombstones: boolean
}

type PlannedRun = Pick<RunFigures, "level" | "run" | "bytes">

/** The next merge, of the lowest level that is due; undefined when none is. */
export function planMerge<Run extends PlannedRun>(
  runs: readonly Run[],
  { maxRunsPerLevel, levelBytes }: MergePolicy,
): MergePlan<Run> | undefined {
  const levels = [...new Set(runs.map((run) => run.level))].sort((a, b) => a - b)
  if (maxRunsPerLevel >= 2) return planTiered(runs, levels, maxRunsPerLevel)
  assert(maxRunsPerLevel === 1 && levelBytes !== undefined, "levelling knows how long a run may be")
  return planLevelled(runs, levels, levelBytes)
}

/** What merges have still to do. */
export interface MergeDebt {
  /** In levels of which a merge is due, and their bytes. */
  readonly runs: number
  readonly bytes: number
}

/** The runs of all levels that are due, with those that a plan takes along; what merges of them make may be due in turn. */
export function mergeDebt(runs: readonly PlannedRun[], policy: MergePolicy): MergeDebt {
  let left = runs
  let count = 0
  let bytes = 0
  for (let plan = planMerge(left, policy); plan !== undefined; plan = planMerge(left, policy)) {
    const { inputs } = plan
    count += inputs.length
    bytes += bytesOf(inputs)
    left = left.filter((run) => !inputs.includes(run))
  }
  return { runs: count, bytes }
}

function planTiered<Run extends PlannedRun>(
  runs: readonly Run[],
  levels: readonly number[],
  maxRunsPerLevel: number,
): MergePlan<Run> | undefined {
  for (const level of levels) {
    const inputs = runs.filter((run) => run.level === level)
    if (inputs.length >= maxRunsPerLevel) return planOf(runs, inputs, level, level + 1)
  }
  return undefined
}

function planLevelled<Run extends PlannedRun>(
  runs: readonly Run[],
  levels: readonly number[],
  levelBytes: number,
): MergePlan<Run> | undefined {
  const bytesMax = (level: number): number => levelBytes * LEVEL_RATIO ** level
  for (const level of levels) {
    const inputs = runs.filter((run) => run.level === level)
    let bytes = bytesOf(inputs)
    if (inputs.length === 1 && (level === 0 || bytes <= bytesMax(level))) continue
    let outputLevel = level
    while (outputLevel === 0 || (bytes > bytesMax(outputLevel) && outputLevel < RUN_LEVEL_MAX)) {
      outputLevel++
      const next = runs.filter((run) => run.level === outputLevel)
      inputs.push(...next)
      bytes += bytesOf(next)
    }
    return planOf(runs, inputs, outputLevel, outputLevel)
  }
  return undefined
}

/** @param lastLevel the highest level among the inputs */
function planOf<Run extends PlannedRun>(
  runs: readonly Run[],
  inputs: Run[],
  lastLevel: number,
  outputLevel: number,
): MergePlan<Run> {
  return {
    inputs: inputs.sort(compareNewestFirst),
    outputLevel,
    dropsTombstones: !runs.some((run) => run.level > lastLevel),
  }
}

function bytesOf(runs: readonly PlannedRun[]): number {
  return runs.reduce((bytes, run) => bytes + run.bytes, 0)
}
