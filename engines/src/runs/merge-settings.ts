// The settings of engines whose runs merge, the same for all of them.

import { z } from "zod"

export interface MergeSettings {
  readonly maxRunsPerLevel: number
  readonly compactionEnabled: boolean
}

/** As fields of a settings object. */
export const mergeSettings = {
  maxRunsPerLevel: runsPerLevel(2, "Runs of a level that merge into one of the next"),
  compactionEnabled: z.boolean().default(true).describe("Whether runs merge at all"),
}

/** @param fewest 1 for an engine that offers levelling, else 2 */
export function runsPerLevel(fewest: 1 | 2, description: string): z.ZodDefault<z.ZodInt> {
  return z.int().min(fewest).max(64).default(4).describe(description)
}
