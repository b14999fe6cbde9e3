// The parameters of the hybrid log: how large its regions are, and when its runs merge.

import { z } from "zod"
import { mergeSettings } from "../../runs/merge-settings.ts"

const MIB = 1024 * 1024
export const MEM_SEGMENT_BYTES_MIN = 4096
export const MEM_SEGMENT_BYTES_MAX = 64 * MIB

/** Sizes in bytes. Intervals are rounded up to whole segments. */
export const hybridLogSettingsSchema = z.strictObject({
  memSegmentLength: z
    .int()
    .min(MEM_SEGMENT_BYTES_MIN)
    .max(MEM_SEGMENT_BYTES_MAX)
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
  ...mergeSettings,
})

export type HybridLogSettings = z.infer<typeof hybridLogSettingsSchema>
