// What a setting's value may be, by kind: the check that gives it its type, and the words that tell people what is allowed.
// A value comes as YAML gives it, or as text from a flag or the environment; each form takes both.

import { z } from "zod"
import { parseListenAddress } from "./address.ts"
import { durationWords, formatDuration, parseDuration } from "./duration.ts"

/** What a value may be. */
export interface SettingForm {
  /** What is allowed, for people. */
  readonly allowed: string
  /** Checks a value from any source and gives it its type. */
  readonly form: z.ZodType
}

/** Ten years. */
const DURATION_MS_MAX = 3650 * 24 * 60 * 60 * 1000

/** The check of an address; which ones are allowed differs from row to row. */
export const address = z
  .union([z.string(), z.number()])
  .transform((value) => parseListenAddress(String(value)))
  .refine((value) => value !== undefined)

/** A whole number from `least` to `most`. */
export function integer(least: number, most: number): SettingForm {
  const digits = z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
  return {
    allowed: `${least} to ${most}`,
    form: z.union([z.number(), digits]).pipe(z.number().int().min(least).max(most)),
  }
}

/** A duration of at least `leastMs`, or 0 when `off` says what that means. */
export function duration(leastMs: number, off?: string): SettingForm {
  const isAllowed = (ms: number | undefined): boolean =>
    ms !== undefined && ((ms === 0 && off !== undefined) || (ms >= leastMs && ms <= DURATION_MS_MAX))
  const range = `${formatDuration(leastMs)} to ${formatDuration(DURATION_MS_MAX)}: ${durationWords}`
  return {
    allowed: off === undefined ? range : `0 (${off}), or ${range}`,
    form: z
      .union([z.string(), z.number()])
      .transform((value) => parseDuration(String(value)))
      .refine(isAllowed),
  }
}

/** One of `names`. */
export function oneOf<const Names extends readonly string[]>(names: Names): SettingForm {
  return { allowed: names.join(", "), form: z.enum(names) }
}

/** True or false. */
export const boolean: SettingForm = {
  allowed: "true, false",
  form: z.union([z.boolean(), z.enum(["true", "false"]).transform((value) => value === "true")]),
}

/** A part of a whole. */
export const part: SettingForm = {
  allowed: "0 to 1",
  form: z
    .union([z.string().regex(/^[\d.]{1,20}$/), z.number()])
    .transform(Number)
    .pipe(z.number().min(0).max(1)),
}
