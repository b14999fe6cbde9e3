// Rounds in turn: each contender once, then each again, so that a slow minute of the machine hits all alike.
// What counts is the median of a contender's rounds; ratios are between medians.

export interface Contender {
  readonly name: string
  /** One round of one measurement: its figure. */
  measure(measurement: string, round: number): Promise<number>
}

export interface Row {
  readonly measurement: string
  readonly contender: string
  readonly rounds: readonly number[]
  readonly median: number
}

/** Measures `contenders` in interleaved rounds. */
export async function interleave(
  contenders: readonly Contender[],
  measurements: readonly string[],
  rounds: number,
): Promise<Row[]> {
  const figures = new Map<string, number[]>()
  for (let round = 1; round <= rounds; round++) {
    for (const measurement of measurements) {
      for (const contender of contenders) {
        const key = `${measurement} ${contender.name}`
        const figure = await contender.measure(measurement, round)
        figures.set(key, [...(figures.get(key) ?? []), figure])
        process.stderr.write(`  round ${round}: ${measurement} ${contender.name} ${Math.round(figure)}\n`)
      }
    }
  }
  return measurements.flatMap((measurement) =>
    contenders.map(({ name }) => {
      const own = figures.get(`${measurement} ${name}`) ?? []
      return { measurement, contender: name, rounds: own, median: median(own) }
    }),
  )
}

/** The middle of `figures`, or the mean of the two in the middle. */
export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** `undefined` when one of the two was not measured. */
export function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b
}

/** Lines of a comparison: each row, and how many times its median the first contender's is. */
export function comparisonLines(rows: readonly Row[], unit: string): string[] {
  return rows.map(({ measurement, contender, rounds, median: middle }) => {
    const first = rows.find((row) => row.measurement === measurement)!
    const ratio =
      first.contender === contender ? "" : `  ${first.contender} has ${(first.median / middle).toFixed(1)}×`
    const all = rounds.map((figure) => Math.round(figure)).join(" ")
    return `${measurement.padEnd(5)} ${contender.padEnd(28)} ${String(Math.round(middle)).padStart(10)} ${unit}  (${all})${ratio}`
  })
}
