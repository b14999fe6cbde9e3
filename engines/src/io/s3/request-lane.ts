// A bounded number of requests at a time; the others wait in the order in which they came.

import { EngineError } from "../../base/error.ts"

export class RequestLane {
  readonly #waitingMax: number
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(requestsMax: number, waitingMax: number) {
    this.#free = requestsMax
    this.#waitingMax = waitingMax
  }

  /** Runs `request` when there is a place. @throws (rejects) EngineError `REPOSITORY_FAILED` when too many wait */
  async run<Result>(request: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free--
    else await this.#wait()
    try {
      return await request()
    } finally {
      // The place goes to the next in line, or is free.
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }

  #wait(): Promise<void> {
    if (this.#waiting.length >= this.#waitingMax) {
      throw new EngineError(
        "REPOSITORY_FAILED",
        `more than ${this.#waitingMax} requests wait for the repository`,
      )
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
