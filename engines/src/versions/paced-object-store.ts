// An object store that is read within a budget, for work that must be in nobody's way.
//
//   asked ── one after the other ──► budget spent? ── held? ──► request ──► counted
//              sleeps in slices of SLICE_MS: an end comes through at once
//
// The budget is spent in bursts of a second's bytes: within a burst requests go at full speed, so that the time they
// take says how fast the store is. Time in which all requests wait is `pausedMs`: who measures takes it off.

import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { ObjectStore, ObjectSummary } from "../io/object-store.ts"
import type { DrillHold } from "./drill-hold.ts"

/** How long a sleep lasts at most before it is asked again whether to go on. */
const SLICE_MS = 50
/** A burst has at least that many bytes: one window of a run. */
const BURST_BYTES_MIN = 1024 * 1024
/** For so long one snapshot after the other may hold requests up; then they go on beside snapshots for as long. */
const PATIENCE_MS = 60_000

export interface Pace {
  /** 0: no budget. */
  readonly bytesPerSecond: number
  readonly hold: DrillHold
  readonly clock: Clock
}

/** For reading only. Owns nothing: the store below stays the caller's. */
export class PacedObjectStore implements ObjectStore {
  readonly url: string
  readonly #source: ObjectStore
  readonly #pace: Pace
  /** Who asks comes after all who asked before. */
  #gate: Promise<void> = Promise.resolve()
  /** Bytes read beyond the budget of the time that has passed. */
  #debtBytes = 0
  #debtOfMs: number
  /** A burst is over: nothing is asked for until the debt is paid. */
  #isPaying = false
  #heldSinceMs: number | undefined
  #impatientUntilMs = Number.NEGATIVE_INFINITY
  #waiting = 0
  #underWay = 0
  #changedMs: number
  #pausedMs = 0
  #bytesRead = 0

  constructor(source: ObjectStore, pace: Pace) {
    this.url = source.url
    this.#source = source
    this.#pace = pace
    this.#changedMs = pace.clock.monotonicMs()
    this.#debtOfMs = this.#changedMs
  }

  get bytesRead(): number {
    return this.#bytesRead
  }

  /** Time in which something waited for the budget or for others, and no request was under way. */
  get pausedMs(): number {
    this.#count(0, 0)
    return this.#pausedMs
  }

  /** @throws (rejects) as the store below; EngineError `ENGINE_CLOSED` when the hold says stop */
  async get(key: string, range?: { offset: number; bytes: number }): Promise<Uint8Array | undefined> {
    return await this.#paced(async () => {
      const found = await this.#source.get(key, range)
      this.#bytesRead += found?.length ?? 0
      this.#debtBytes += found?.length ?? 0
      return found
    })
  }

  /** @throws (rejects) as `get` */
  async list(prefix: string): Promise<ObjectSummary[]> {
    return await this.#paced(() => this.#source.list(prefix))
  }

  async create(): Promise<boolean> {
    assert(false, "a paced store is only read")
    return false
  }

  async remove(): Promise<void> {
    assert(false, "a paced store is only read")
  }

  /** Leaves the store below open. */
  async close(): Promise<void> {
    await this.#gate
  }

  async #paced<Result>(request: () => Promise<Result>): Promise<Result> {
    const before = this.#gate
    const turn = (async () => {
      await before
      await this.#admit()
    })()
    this.#gate = turn.catch(() => undefined)
    this.#count(1, 0)
    try {
      await turn
    } finally {
      this.#count(-1, 0)
    }
    this.#count(0, 1)
    try {
      return await request()
    } finally {
      this.#count(0, -1)
    }
  }

  async #admit(): Promise<void> {
    const { clock, hold } = this.#pace
    for (;;) {
      if (hold.isStopped) throw new EngineError("ENGINE_CLOSED", `reading of ${this.url} was told to stop`)
      const pauseMs = Math.max(this.#budgetPauseMs(), this.#holdPauseMs())
      if (pauseMs <= 0) return
      await clock.sleep(Math.min(pauseMs, SLICE_MS))
    }
  }

  #budgetPauseMs(): number {
    const { bytesPerSecond, clock } = this.#pace
    if (bytesPerSecond === 0) return 0
    const nowMs = clock.monotonicMs()
    this.#debtBytes = Math.max(0, this.#debtBytes - ((nowMs - this.#debtOfMs) / 1000) * bytesPerSecond)
    this.#debtOfMs = nowMs
    if (this.#debtBytes >= Math.max(BURST_BYTES_MIN, bytesPerSecond)) this.#isPaying = true
    // Less than a byte is rounding.
    if (this.#debtBytes < 1) this.#isPaying = false
    return this.#isPaying ? (this.#debtBytes / bytesPerSecond) * 1000 : 0
  }

  #holdPauseMs(): number {
    const { hold, clock } = this.#pace
    const { reason } = hold
    const nowMs = clock.monotonicMs()
    if (reason === "collection") return SLICE_MS
    if (reason === undefined || nowMs < this.#impatientUntilMs) {
      this.#heldSinceMs = undefined
      return 0
    }
    this.#heldSinceMs ??= nowMs
    if (nowMs - this.#heldSinceMs < PATIENCE_MS) return SLICE_MS
    this.#impatientUntilMs = nowMs + PATIENCE_MS
    return 0
  }

  /** Changes how many wait and how many are under way; the time until now was one of before. */
  #count(waiting: number, underWay: number): void {
    const nowMs = this.#pace.clock.monotonicMs()
    if (this.#waiting > 0 && this.#underWay === 0) this.#pausedMs += nowMs - this.#changedMs
    this.#changedMs = nowMs
    this.#waiting += waiting
    this.#underWay += underWay
  }
}
