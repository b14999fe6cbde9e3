// For how long at least one of several waits was under way: what those who are held up together lose, counted once.

/** Sum over all times in which at least one of the promises given to `during` was pending. */
export class StalledTime {
  readonly #monotonicMs: () => number
  #ms = 0
  #waiting = 0
  #startedMs = 0
  /** Who waits together is given one promise. */
  #last: Promise<unknown> | undefined

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs
  }

  /** Milliseconds, with what is under way; never less than before. */
  get ms(): number {
    return this.#ms + (this.#waiting === 0 ? 0 : this.#monotonicMs() - this.#startedMs)
  }

  /** Counts until `promise` settles. Allocates nothing when it was the last one that was given, too. */
  during(promise: Promise<unknown>): void {
    if (promise === this.#last) return
    this.#last = promise
    if (this.#waiting++ === 0) this.#startedMs = this.#monotonicMs()
    const end = (): void => {
      if (this.#last === promise) this.#last = undefined
      if (--this.#waiting === 0) this.#ms += this.#monotonicMs() - this.#startedMs
    }
    promise.then(end, end)
  }
}
