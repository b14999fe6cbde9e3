// Slows writers down when merges fall behind, a little at first, so that there is no sudden stop:
//
//   runs in the fullest level    0 ──────────── soft ─────────────────── hard
//   writers                      at full speed  at a rate that falls     wait until a merge is done
//                                               with every run
//
// The rate is kept by a date: each write moves it on by the time that its bytes take at the present rate, and waits
// when it is ahead of now (after RocksDB's `delayed_write_rate`). One sleep at a time, shared by all who write during it.
// When merges fail, waiting for one would be for ever: then writers are slowed, but never stopped.

import { StalledTime } from "../base/stalled-time.ts"
import type { Clock } from "../io/clock.ts"

/** In units of `maxRunsPerLevel`. Up to the soft limit lie the inputs of a merge and what comes while it runs. */
const SOFT_FACTOR = 2
const HARD_FACTOR = 4
/** Rate at the soft limit, in bytes per second: of each partition. */
const RATE_BYTES = 32 * 1024 * 1024
/** Less is not slept for, but carried on. */
const SLEEP_MS_MIN = 1
/** Longest single sleep: the debt may be gone by then. What is ahead of that is forgiven. */
const SLEEP_MS_MAX = 100

export interface MergePressureParts {
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">
  readonly maxRunsPerLevel: number
}

interface Round {
  readonly promise: Promise<void>
  readonly end: () => void
}

export class MergePressure {
  readonly #clock: MergePressureParts["clock"]
  readonly softRuns: number
  readonly hardRuns: number
  #runs = 0
  #isFailing = false
  #isClosed = false
  /** Until when the bytes written so far take at the rate. */
  #paidUntilMs = 0
  #sleep: Round | undefined
  #stop: Round | undefined
  #sleepEnd = new AbortController()
  #stallCount = 0
  readonly #stalls: StalledTime

  constructor({ clock, maxRunsPerLevel }: MergePressureParts) {
    const unit = Math.max(2, maxRunsPerLevel)
    this.#clock = clock
    this.#stalls = new StalledTime(() => clock.monotonicMs())
    this.softRuns = SOFT_FACTOR * unit
    this.hardRuns = HARD_FACTOR * unit
  }

  /** Writes that had to wait. */
  get stallCount(): number {
    return this.#stallCount
  }

  /** For how long at least one write waited, in milliseconds, with the wait that is under way. */
  get stalledMs(): number {
    return this.#stalls.ms
  }

  /** The number of runs in each level has changed. */
  levels(counts: readonly number[]): void {
    this.#runs = counts.reduce((most, count) => Math.max(most, count), 0)
    this.#settle()
  }

  /** A merge has failed, or one has succeeded again. */
  failing(isFailing: boolean): void {
    this.#isFailing = isFailing
    this.#settle()
  }

  /** Lets everybody go. */
  close(): void {
    this.#isClosed = true
    this.#settle()
  }

  /** What a write of `bytes` has to wait for; undefined: nothing. Never rejects. */
  of(bytes: number): Promise<void> | undefined {
    return this.#runs <= this.softRuns ? undefined : this.#wait(bytes)
  }

  #wait(bytes: number): Promise<void> | undefined {
    if (this.#isClosed) return undefined
    const now = this.#clock.monotonicMs()
    if (this.#isStopped()) {
      this.#stop ??= this.#startRound()
      this.#stallCount++
      return this.#stop.promise
    }
    const room = Math.max(1, this.hardRuns - this.#runs) / (this.hardRuns - this.softRuns)
    this.#paidUntilMs = Math.max(now, this.#paidUntilMs) + (bytes * 1000) / (RATE_BYTES * room)
    const ahead = this.#paidUntilMs - now
    if (this.#sleep === undefined) {
      if (ahead < SLEEP_MS_MIN) return undefined
      const round = this.#startRound()
      this.#sleep = round
      void this.#endLater(round, Math.min(ahead, SLEEP_MS_MAX))
      if (ahead > SLEEP_MS_MAX) this.#paidUntilMs = now + SLEEP_MS_MAX
    }
    this.#stallCount++
    return this.#sleep.promise
  }

  async #endLater(round: Round, ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#sleepEnd.signal)
    this.#sleep = undefined
    round.end()
  }

  #isStopped(): boolean {
    return this.#runs >= this.hardRuns && !this.#isFailing && !this.#isClosed
  }

  #settle(): void {
    if (this.#stop !== undefined && !this.#isStopped()) {
      this.#stop.end()
      this.#stop = undefined
    }
    if (this.#runs <= this.softRuns || this.#isClosed) {
      this.#paidUntilMs = 0
      this.#sleepEnd.abort()
      this.#sleepEnd = new AbortController()
    }
  }

  #startRound(): Round {
    let end = (): void => undefined
    const promise = new Promise<void>((resolve) => {
      end = resolve
    })
    this.#stalls.during(promise)
    return { promise, end }
  }
}
