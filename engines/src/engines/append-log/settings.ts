// The parameters of the append log: how long its runs are, and when they merge.

import { z } from "zod"
import { EngineError } from "../../base/error.ts"

const MIB = 1024 * 1024

/** Sizes in bytes. */
export const appendLogSettingsSchema = z.strictObject({
  threshold: z
    .int()
    .min(4096)
    .max(1024 * MIB)
    .default(16 * MIB)
    .describe("Length of the newest run at which it is finished and another one begun, in bytes"),
  maxRunsPerLevel: z
    .int()
    .min(2)
    .max(64)
    .default(4)
    .describe("Runs of a level that merge into one of the next"),
  compactionEnabled: z.boolean().default(true).describe("Whether runs merge at all"),
})

export type AppendLogSettings = z.infer<typeof appendLogSettingsSchema>

/** @throws EngineError `SETTING_INVALID`, naming each setting, its value and what is allowed. */
export function parseAppendLogSettings(settings: unknown): AppendLogSettings {
  const parsed = appendLogSettingsSchema.safeParse(settings ?? {})
  if (!parsed.success) {
    throw new EngineError("SETTING_INVALID", `append-log: ${z.prettifyError(parsed.error)}`)
  }
  return parsed.data
}
