// A clock whose pauses take no time, and on which a time limit passes when a test says so.

import type { Clock } from "@varve/engines/internal"

export class SteppingClock implements Clock {
  /** Pauses so far, in milliseconds. */
  readonly pauses: number[] = []
  readonly #limitMs: number
  readonly #limits = new Set<() => void>()
  #nowMs = 0

  /** @param limitMs a sleep of so long is a limit: it ends when it is aborted or passed, and is no pause */
  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms !== this.#limitMs) {
      this.pauses.push(ms)
      this.#nowMs += ms
      return
    }
    await new Promise<void>((resolve) => {
      this.#limits.add(resolve)
      if (signal?.aborted === true) resolve()
      signal?.addEventListener("abort", () => resolve())
    })
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }

  /** All limits that are waited for pass. */
  pass(): void {
    for (const resolve of this.#limits) resolve()
    this.#limits.clear()
  }
}
