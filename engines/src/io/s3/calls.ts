// Calls of an S3 store: each is attempted until it is answered, in bounded time and number.
//
//   wait for a place ── attempt ── answered ────────────────────────► result
//                         ▲  │
//                         │  ├── final (denied, no bucket, …) ──────► REPOSITORY_FAILED, STORAGE_FULL
//                         │  └── no answer, 409, 500, 503, SlowDown ─┐
//                         └───── pause, growing, by chance ◄─────────┤ callMs not over
//                                                                    └► REPOSITORY_FAILED
//
// The SDK's own attempts are switched off: it would hide that an answer got lost, and `create` has to know.

import { EngineError, type ErrorReason } from "../../base/error.ts"
import type { Clock } from "../clock.ts"
import type { Random } from "../random.ts"
import { explain, hasNoRegion, isFull, mayTryAgain } from "./failure.ts"
import type { S3Limits } from "./limits.ts"
import { formatS3Url, type S3Location } from "./location.ts"
import { RequestLane } from "./request-lane.ts"

const TIMER_MS_MAX = 2 ** 31 - 1

export interface S3CallParts {
  readonly location: S3Location
  readonly clock: Clock
  readonly random: Random
  readonly limits: S3Limits
  /** Hears of each attempt after the first, by the permission that it needs. */
  readonly onRetry?: (action: string) => void
}

export class S3Calls {
  readonly #parts: S3CallParts
  readonly #lane: RequestLane
  readonly #underWay = new Set<AbortController>()
  #isClosed = false

  constructor(parts: S3CallParts) {
    this.#parts = parts
    this.#lane = new RequestLane(parts.limits.requestsMax, parts.limits.waitingMax)
  }

  /**
   * What `attempt` resolves. `action` is the permission that it needs. An attempt stops when its signal is aborted; one
   * before it may have been carried out without an answer.
   * @throws (rejects) EngineError `REPOSITORY_FAILED`, `STORAGE_FULL`
   */
  async run<Result>(action: string, attempt: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    // Neither a wait nor a pause keeps the process alive, but somebody waits for the result.
    const holdProcess = setInterval(() => undefined, TIMER_MS_MAX)
    try {
      return await this.#lane.run(() => this.#attempts(action, attempt))
    } finally {
      clearInterval(holdProcess)
    }
  }

  /** Ends what is under way: it fails, as does every later call. */
  close(): void {
    this.#isClosed = true
    for (const stop of this.#underWay) stop.abort()
  }

  async #attempts<Result>(
    action: string,
    attempt: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { clock, limits } = this.#parts
    const endMs = clock.monotonicMs() + limits.callMs
    for (let count = 1; ; count++) {
      const stop = new AbortController()
      this.#underWay.add(stop)
      try {
        if (this.#isClosed) throw this.#closed()
        return await this.#timed(stop, attempt)
      } catch (error) {
        const pauseMs = this.#pauseMs(count)
        if (this.#isClosed) throw this.#closed()
        const isOver = clock.monotonicMs() + pauseMs >= endMs
        if (isOver || !mayTryAgain(error)) throw this.#failure(action, error, count)
        await clock.sleep(pauseMs, stop.signal)
        this.#parts.onRetry?.(action)
      } finally {
        this.#underWay.delete(stop)
      }
    }
  }

  /** Runs one attempt, whose signal is aborted when it has taken too long or the store is closed. */
  async #timed<Result>(
    stop: AbortController,
    attempt: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const { clock, limits } = this.#parts
    const request = new AbortController()
    const abort = (): void => request.abort()
    stop.signal.addEventListener("abort", abort)
    const over = new AbortController()
    const timer = clock.sleep(limits.attemptMs, over.signal).then(abort)
    try {
      return await attempt(request.signal)
    } finally {
      over.abort()
      stop.signal.removeEventListener("abort", abort)
      await timer
    }
  }

  #pauseMs(count: number): number {
    const { limits, random } = this.#parts
    const most = Math.min(limits.pauseMaxMs, limits.pauseMs * 2 ** (count - 1))
    const [chance = 0] = random.bytes(1)
    return most / 2 + (most / 2) * (chance / 255)
  }

  #failure(action: string, error: unknown, count: number): EngineError {
    if (error instanceof EngineError) return error
    const tries = count === 1 ? "" : ` (${count} attempts)`
    const why = explain(error, action, this.#parts.location)
    if (hasNoRegion(error)) return this.#failed("REPOSITORY_URL_INVALID", why)
    return this.#failed(isFull(error) ? "STORAGE_FULL" : "REPOSITORY_FAILED", why + tries)
  }

  #closed(): EngineError {
    return this.#failed("REPOSITORY_FAILED", "the object store is closed")
  }

  #failed(reason: ErrorReason, why: string): EngineError {
    return new EngineError(reason, `repository ${formatS3Url(this.#parts.location)}: ${why}`)
  }
}
