// How long something took, for whoever relies on what others do after a time of theirs. Neither clock of a machine says
// that alone: the monotonic one stands while the machine sleeps or its virtual machine is stopped, and the other one is set
// back now and then. Of each step from one question to the next the longer answer counts, so it is never too short.

import type { Clock } from "../io/clock.ts"

export class ElapsedTime {
  readonly #clock: Pick<Clock, "nowMs" | "monotonicMs">
  #wallMs: number
  #monotonicMs: number
  #elapsedMs = 0

  constructor(clock: Pick<Clock, "nowMs" | "monotonicMs">) {
    this.#clock = clock
    this.#wallMs = clock.nowMs()
    this.#monotonicMs = clock.monotonicMs()
  }

  /** Milliseconds since the construction, at least; never backwards. */
  ms(): number {
    const wallMs = this.#clock.nowMs()
    const monotonicMs = this.#clock.monotonicMs()
    this.#elapsedMs += Math.max(wallMs - this.#wallMs, monotonicMs - this.#monotonicMs)
    this.#wallMs = wallMs
    this.#monotonicMs = monotonicMs
    return this.#elapsedMs
  }
}
