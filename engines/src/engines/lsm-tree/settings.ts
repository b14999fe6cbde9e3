// The parameters of the LSM-tree: how much it keeps in memory, how its runs are laid out, and when they merge.

import { z } from "zod"
import { mergeSettings, runsPerLevel } from "../../runs/merge-settings.ts"

const MIB = 1024 * 1024

/** Sizes in bytes. */
export const lsmTreeSettingsSchema = z.strictObject({
  memtableBytesLimit: z
    .int()
    .min(4096)
    .max(1024 * MIB)
    .default(32 * MIB)
    .describe("Length of the memtable: when it is full it is sorted and becomes a run, in bytes"),
  densityFactor: z.int().min(1).max(65_536).default(32).describe("Records for each fence pointer"),
  ...mergeSettings,
  maxRunsPerLevel: runsPerLevel(
    1,
    "Runs of a level that merge into one of the next; 1: levelling, one run a level",
  ),
  bloomFalsePositiveRate: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.01)
    .describe("How often the filter of a run lets a key pass that the run does not hold"),
})

export type LsmTreeSettings = z.infer<typeof lsmTreeSettingsSchema>
