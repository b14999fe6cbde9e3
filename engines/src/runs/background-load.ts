// What a state that is served already still has to read. It begins a moment after the state was opened, goes on after
// failures that pass, and stops when the state is closed.
//
//   opened ──START_MS── attempt ── fails, and it may pass ──RETRY_MS── attempt ── … ── all is loaded
//                          └────── fails for good: until somebody asks for it again

import { EngineError, isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"

/** Whoever has opened the state is done with that, and has asked for something, before anything is loaded. */
const START_MS = 100
/** How long to wait until a disk that failed, or a repository that was not reached, is asked again. */
const RETRY_MS = 1000
/** Failures after which it is tried again. */
const passing = ["STORAGE_FAILED", "STORAGE_FULL", "REPOSITORY_FAILED"] as const

export interface BackgroundLoadParts {
  readonly clock: Pick<Clock, "sleep">
  /** Loads what is not loaded yet: goes on where it was when it failed. Asks `checkOpen` again and again. */
  readonly load: () => Promise<void>
  /** Hears that an attempt has failed, and that no other follows by itself. */
  readonly fail: (error: unknown) => void
}

export class BackgroundLoad {
  readonly #parts: BackgroundLoadParts
  readonly #closing = new AbortController()
  readonly #closed: Promise<never>
  #hasFailed = false
  /** Rejects when it fails; another one follows unless nothing can be done. */
  #attempt: Promise<void>
  /** Never rejects. */
  #done: Promise<void>

  constructor(parts: BackgroundLoadParts) {
    this.#parts = parts
    const { signal } = this.#closing
    this.#closed = new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(closedError()))
    })
    this.#closed.catch(() => undefined)
    this.#attempt = this.#after(START_MS)
    this.#done = this.#run()
  }

  /**
   * Resolves when all is loaded. What failed for good is tried once more.
   * @throws (rejects) EngineError `DATA_LOSS`; `STORAGE_FAILED`, `STORAGE_FULL` and `REPOSITORY_FAILED`, after which
   * it is tried again; `ENGINE_CLOSED`
   */
  loaded(): Promise<void> {
    if (this.#hasFailed && !this.#closing.signal.aborted) {
      this.#hasFailed = false
      this.#attempt = this.#parts.load()
      this.#done = this.#run()
    }
    return this.#attempt
  }

  /** @throws EngineError `ENGINE_CLOSED` */
  checkOpen(): void {
    if (this.#closing.signal.aborted) throw closedError()
  }

  /** As `work`, but does not wait for it any more when the state is closed. @throws (rejects) also `ENGINE_CLOSED` */
  unlessClosed<Result>(work: Promise<Result>): Promise<Result> {
    return Promise.race([work, this.#closed])
  }

  /** Stops loading. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#done
  }

  async #after(ms: number): Promise<void> {
    await this.#parts.clock.sleep(ms, this.#closing.signal)
    this.checkOpen()
    await this.#parts.load()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    for (;;) {
      try {
        return await this.#attempt
      } catch (error) {
        if (signal.aborted) return
        if (!isPassing(error)) {
          this.#hasFailed = true
          this.#parts.fail(error)
          return
        }
        await this.#parts.clock.sleep(RETRY_MS, signal, "idle")
        if (signal.aborted) return
        this.#attempt = this.#parts.load()
      }
    }
  }
}

function isPassing(error: unknown): boolean {
  return passing.some((reason) => isEngineError(error, reason))
}

function closedError(): EngineError {
  return new EngineError("ENGINE_CLOSED", "the engine was closed")
}
