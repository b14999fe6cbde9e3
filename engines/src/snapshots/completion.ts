// Something that is done once, after any number of failed attempts. Some wait until it is done; others want to know
// what comes of the attempt that is under way.

export class Completion {
  /** Resolves when it is done; never when it is given up. */
  readonly done: Promise<void>
  #isDone = false
  #resolveDone: () => void = () => undefined
  readonly #waiting = new Set<{ resolve: () => void; reject: (error: unknown) => void }>()

  constructor() {
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve
    })
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /** Resolves when it is done; rejects with the first failure from now on. */
  next(): Promise<void> {
    if (this.#isDone) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiting.add({ resolve, reject })
    })
  }

  finish(): void {
    this.#isDone = true
    this.#resolveDone()
    for (const { resolve } of this.#waiting) resolve()
    this.#waiting.clear()
  }

  fail(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting.clear()
  }
}
