// The parameters of the hybrid log: how large its regions are, and when its runs merge.

import { z } from "zod"
import { EngineError } from "../../base/error.ts"

const MIB = 1024 * 1024

/** Sizes in bytes. Intervals are rounded up to whole segments. */
export const hybridLogSettingsSchema = z.strictObject({
  memSegmentLength: z
    .int()
    .min(4096)
    .max(64 * MIB)
    .default(MIB)
    .describe("Unit in which the regions move, in bytes"),
  roLagInterval: z
    .int()
    .min(4096)
    .max(1024 * MIB)
    .default(32 * MIB)
    .describe("Length of the mutable region: records this close to the tail are updated in place, in bytes"),
  flushInterval: z
    .int()
    .min(4096)
    .max(1024 * MIB)
    .default(16 * MIB)
    .describe("Length of the read-only region: when it is full it becomes a run, in bytes"),
  maxRunsPerLevel: z
    .int()
    .min(2)
    .max(64)
    .default(4)
    .describe("Runs of a level that merge into one of the next"),
  compactionEnabled: z.boolean().default(true).describe("Whether runs merge at all"),
})

export type HybridLogSettings = z.infer<typeof hybridLogSettingsSchema>

/** @throws EngineError `SETTING_INVALID`, naming each setting, its value and what is allowed. */
export function parseHybridLogSettings(settings: unknown): HybridLogSettings {
  const parsed = hybridLogSettingsSchema.safeParse(settings ?? {})
  if (!parsed.success) {
    throw new EngineError("SETTING_INVALID", `hybrid-log: ${z.prettifyError(parsed.error)}`)
  }
  return parsed.data
}
