// Durations as people write them: "36h", "7d". One number and one unit, so that nobody has to guess.

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const
const DURATION = /^(\d{1,12})(ms|s|m|h|d|w)$/

/** What a duration looks like, for messages. */
export const durationWords = "a number and ms, s, m, h, d or w"

/** Milliseconds; undefined when the text is no duration. "0" needs no unit. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0
  const match = DURATION.exec(text)
  if (match === null) return undefined
  const [, number, unit] = match as unknown as [string, string, keyof typeof UNITS_MS]
  return Number(number) * UNITS_MS[unit]
}

/** The shortest text that `parseDuration` reads as the same: the largest unit that goes into it, below weeks. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0"
  const units = ["d", "h", "m", "s"] as const
  const unit = units.find((each) => ms % UNITS_MS[each] === 0) ?? "ms"
  return `${ms / UNITS_MS[unit]}${unit}`
}
