// Those who wait for what takes a log or a memtable to disk: seals for the runs below them, writers for room.

import type { OpenRun, RunSet } from "./run-set.ts"

interface WaitingSeal {
  /** Up to where it reaches: an address of the log, or the number of a memtable. */
  readonly at: number
  readonly resolve: (runs: readonly OpenRun[]) => void
  readonly reject: (error: unknown) => void
}

/** Seals in the order of their addresses, each answered with the runs of the moment. */
export class WaitingSeals {
  readonly #runs: Pick<RunSet, "retainAll">
  readonly #seals: WaitingSeal[] = []

  constructor(runs: Pick<RunSet, "retainAll">) {
    this.#runs = runs
  }

  /** Address of the first one that waits. */
  get first(): number | undefined {
    return this.#seals[0]?.at
  }

  /** Resolves the runs of the state, retained for the caller, once everything below `at` is flushed. */
  wait(at: number): Promise<readonly OpenRun[]> {
    return new Promise((resolve, reject) => {
      this.#seals.push({ at, resolve, reject })
    })
  }

  /** Answers those at or below `flushed`. Called before anything above them enters the runs of the state. */
  flushedTo(flushed: number): void {
    while (this.#seals.length > 0 && this.#seals[0]!.at <= flushed) {
      this.#seals.shift()!.resolve(this.#runs.retainAll())
    }
  }

  rejectAll(error: unknown): void {
    for (const seal of this.#seals.splice(0)) seal.reject(error)
  }
}

/** One promise for all writers that wait for the disk. */
export class Relief {
  #waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined

  wait(): Promise<void> {
    if (this.#waiting === undefined) {
      let resolve = (): void => undefined
      const promise = new Promise<void>((done) => {
        resolve = done
      })
      this.#waiting = { promise, resolve }
    }
    return this.#waiting.promise
  }

  release(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.resolve()
  }
}
