// One timer for the deadlines of all calls: it rings at the earliest deadline set since it last rang. Most calls
// are done long before theirs, so that a ring finds little, and a call costs one comparison.

export class DeadlineAlarm {
  readonly #ring: (nowMs: number) => number
  #timer: NodeJS.Timeout | undefined
  #atMs = Number.POSITIVE_INFINITY

  /** @param ring is given the time and returns the earliest deadline still pending, or Infinity. */
  constructor(ring: (nowMs: number) => number) {
    this.#ring = ring
  }

  /** Rings at `deadlineAt` (of `performance.now()`), or before. */
  set(deadlineAt: number): void {
    if (deadlineAt >= this.#atMs) return
    this.#atMs = deadlineAt
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#rings(), Math.max(1, Math.ceil(deadlineAt - performance.now())))
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#atMs = Number.POSITIVE_INFINITY
  }

  #rings(): void {
    this.#timer = undefined
    this.#atMs = Number.POSITIVE_INFINITY
    const next = this.#ring(performance.now())
    if (next !== Number.POSITIVE_INFINITY) this.set(next)
  }
}
