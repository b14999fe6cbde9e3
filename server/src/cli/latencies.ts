// Latencies of a load, kept one by one and sorted at the end: exact percentiles without a library.

/** Collects up to `capacity` latencies. */
export class Latencies {
  readonly #samples: Float64Array
  #count = 0
  #sorted = true

  constructor(capacity: number) {
    this.#samples = new Float64Array(capacity)
  }

  get count(): number {
    return this.#count
  }

  /** Adds one latency in milliseconds; beyond the capacity it is not kept. */
  add(milliseconds: number): void {
    if (this.#count === this.#samples.length) return
    this.#samples[this.#count++] = milliseconds
    this.#sorted = false
  }

  /** The smallest latency that `fraction` of all do not exceed, in milliseconds; 0 when there is none. */
  percentile(fraction: number): number {
    const samples = this.#samples.subarray(0, this.#count)
    if (!this.#sorted) samples.sort()
    this.#sorted = true
    return samples[Math.max(0, Math.ceil(fraction * this.#count) - 1)] ?? 0
  }
}
