// Calls of something that can be closed: those that run then are waited for, and new ones are refused.

import { EngineError } from "./error.ts"

export class ClosableCalls {
  readonly #refusal: string
  readonly #running = new Set<Promise<unknown>>()
  #isClosed = false

  /** @param refusal what calls are told that come later */
  constructor(refusal: string) {
    this.#refusal = refusal
  }

  /** Begins one call at once. @throws (rejects) EngineError `ENGINE_CLOSED`, or as the call does */
  async run<Result>(call: () => Promise<Result>): Promise<Result> {
    if (this.#isClosed) throw new EngineError("ENGINE_CLOSED", this.#refusal)
    const running = call()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Resolves when nothing runs any more. May be called again. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled(this.#running)
  }
}
