// The parameters of the append log: how long its runs are, and when they merge.

import { z } from "zod"
import { mergeSettings } from "../../runs/merge-settings.ts"

const MIB = 1024 * 1024

/** Sizes in bytes. */
export const appendLogSettingsSchema = z.strictObject({
  threshold: z
    .int()
    .min(4096)
    .max(1024 * MIB)
    .default(16 * MIB)
    .describe("Length of the newest run at which it is finished and another one begun, in bytes"),
  ...mergeSettings,
})

export type AppendLogSettings = z.infer<typeof appendLogSettingsSchema>
