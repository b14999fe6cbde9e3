// Latencies of some of the calls of a round: one in eight, for looking at the clock twice a call would slow what is
// measured.

const SAMPLE_EVERY = 8

export class Latencies {
  readonly #samples: number[] = []
  #calls = 0

  /** Whether the next call is to be timed. */
  takesNext(): boolean {
    return this.#calls++ % SAMPLE_EVERY === 0
  }

  add(milliseconds: number): void {
    this.#samples.push(milliseconds)
  }

  /** In milliseconds; 0 when nothing was timed. */
  figures(): { p50Ms: number; p99Ms: number; p999Ms: number } {
    const sorted = Float64Array.from(this.#samples).sort()
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    return { p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999) }
  }
}
