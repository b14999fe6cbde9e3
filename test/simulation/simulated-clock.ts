// Time that moves when the test says so.
//
// With `autoAdvance` a sleep moves the time itself: nobody waits, and what sleeps in a loop does not starve the
// event loop, because each sleep takes a turn of it.

import type { Clock } from "@varve/engines/internal"

/** 2026-01-01T00:00:00Z: a date that looks like one in messages. */
const START_MS = 1_767_225_600_000

interface Sleeper {
  readonly endMs: number
  readonly wake: () => void
}

export class SimulatedClock implements Clock {
  readonly #autoAdvance: boolean
  readonly #sleepers = new Set<Sleeper>()
  #elapsedMs = 0

  constructor(options: { readonly autoAdvance?: boolean } = {}) {
    this.#autoAdvance = options.autoAdvance ?? false
  }

  nowMs(): number {
    return START_MS + Math.floor(this.#elapsedMs)
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  /** Sleeps that have not ended. */
  get sleeperCount(): number {
    return this.#sleepers.size
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return
    const endMs = this.#elapsedMs + Math.max(0, ms)
    if (this.#autoAdvance) {
      await this.nextTurn()
      this.#elapsedMs = Math.max(this.#elapsedMs, endMs)
      return
    }
    await new Promise<void>((resolve) => {
      const sleeper: Sleeper = {
        endMs,
        wake: () => {
          this.#sleepers.delete(sleeper)
          signal?.removeEventListener("abort", sleeper.wake)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal?.addEventListener("abort", sleeper.wake, { once: true })
    })
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }

  /**
   * Moves the time on by `ms`, from sleeper to sleeper: each wakes at its own moment, and what it does in that
   * turn (sleeping again, for example) happens before the next one wakes.
   */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#elapsedMs + ms
    for (;;) {
      const next = this.#earliest()
      if (next === undefined || next.endMs > targetMs) break
      this.#elapsedMs = Math.max(this.#elapsedMs, next.endMs)
      next.wake()
      await this.nextTurn()
    }
    this.#elapsedMs = Math.max(this.#elapsedMs, targetMs)
  }

  #earliest(): Sleeper | undefined {
    let earliest: Sleeper | undefined
    for (const sleeper of this.#sleepers) {
      if (earliest === undefined || sleeper.endMs < earliest.endMs) earliest = sleeper
    }
    return earliest
  }
}
