// How many seeds a test walks. Fixed, so that a run that passed passes again; `VARVE_SEEDS=50 npx vitest run …` walks
// as many instead.

/** The seeds from 1 to `count`, or to what `VARVE_SEEDS` says. */
export function seedsUpTo(count: number): number[] {
  return Array.from({ length: Number(process.env["VARVE_SEEDS"] ?? count) }, (_, index) => index + 1)
}
