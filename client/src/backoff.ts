// Pauses between attempts to connect: exponential, with full jitter, so that clients that lost the same daemon do
// not come back in step (M. Brooker, Exponential Backoff And Jitter, 2015).

export class Backoff {
  readonly #firstMs: number
  readonly #maxMs: number
  readonly #random: () => number
  #failures = 0

  /** @param random a number of [0, 1) */
  constructor(firstMs: number, maxMs: number, random: () => number = Math.random) {
    this.#firstMs = firstMs
    this.#maxMs = maxMs
    this.#random = random
  }

  /** The next pause in milliseconds: of [0, min(maxMs, firstMs * 2^failures)). */
  next(): number {
    const bound = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#failures)
    if (bound < this.#maxMs) this.#failures++
    return this.#random() * bound
  }

  /** An attempt succeeded: the next pause is a first one. */
  reset(): void {
    this.#failures = 0
  }
}
