// How many calls of a kind run at the same time. Further ones are refused: nothing queues.

import { VarveError } from "@varve/proto"

export class CallLimit {
  readonly #what: string
  readonly #callsMax: number
  #running = 0

  /** @param what the kind, for the message */
  constructor(what: string, callsMax: number) {
    this.#what = what
    this.#callsMax = callsMax
  }

  /** Takes a place; `leave` gives it back. @throws VarveError `OVERLOADED` when all are taken */
  enter(): void {
    if (this.#running >= this.#callsMax) {
      throw new VarveError(
        "OVERLOADED",
        `${this.#callsMax} ${this.#what} are under way; no more are taken until one ends`,
      )
    }
    this.#running++
  }

  leave(): void {
    this.#running--
  }

  /** Does the work in a place of its own. @throws (rejects) VarveError `OVERLOADED`, or what the work rejects with */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.enter()
    try {
      return await work()
    } finally {
      this.leave()
    }
  }
}
