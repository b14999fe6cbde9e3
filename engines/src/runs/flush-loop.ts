// Takes what an engine has in memory to disk, in the background, one run after the other: one loop for all engines
// that write to memory first. When it runs, what it does on a full disk and on a broken one, and who waits for it.
//
//             due, or a seal                       nothing is due and no seal waits
//     idle ───────────────────► turn ──► step ──┬───────────────────────────────────► idle
//                                         ▲     │
//                                         ├─────┤ done: seals that are reached are answered, writers go on
//                                         │     │
//                                         └──── │ STORAGE_FULL, or a run that is on disk and cannot be read: seals are
//                                               │ refused, writers go on; again in a second
//                                               │
//                                               ▼ anything else, or close: seals are refused, nothing is flushed again
//
// A seal's promise resolves with the runs of the very moment in which everything below the seal is on disk and nothing
// above it is. Seals are answered in the order of the calls.

import { EngineError, isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { RunFigures } from "./run.ts"
import type { OpenRun, RunSet } from "./run-set.ts"
import { UnopenedRun } from "./unopened-run.ts"
import { Relief, WaitingSeals } from "./waiting-seals.ts"

/** How long to wait before writing is tried again on a full disk. */
const FULL_RETRY_MS = 1000

/** What is flushed. Addresses are those of a log, or numbers of memtables: all that counts is their order. */
export interface FlushWork<Step> {
  /** Everything below, or up to, this address is in runs of the state. */
  readonly flushed: number
  /** Whether there is something to do although no seal waits. Asked after each write; cheap. */
  isDue(): boolean
  /** Whether the disk is so far behind that writers wait. Asked after each write; cheap. */
  isBehind(): boolean
  /** A seal at `at` is about to wait; in the turn in which it was made. */
  sealed(at: number): void
  /** What to do now: on the way to the first seal that waits, if any; undefined when there is nothing to do. */
  next(sealedAt: number | undefined): Step | undefined
  /**
   * Resolves the figures of the run that it has added to the state, durable, if it has added one; `flushed` has then
   * moved along. After `STORAGE_FULL` and `UnopenedRun` it is tried again, after any other error never.
   */
  flush(step: Step): Promise<RunFigures | undefined>
  /** Gives up what is half done. The loop has ended. */
  close(): Promise<void>
}

export interface FlushHost {
  readonly clock: Clock
  readonly runs: Pick<RunSet, "retainAll">
  /** Hears of the error after which nothing is flushed any more. */
  poison(error: unknown): void
}

/** One owner, who closes it. */
export class FlushLoop<Step> {
  /** Runs written, and their bytes, since the engine was opened. */
  flushCount = 0
  bytesFlushed = 0
  readonly #host: FlushHost
  readonly #work: FlushWork<Step>
  readonly #seals: WaitingSeals
  readonly #relief = new Relief()
  readonly #closing = new AbortController()
  #loop: Promise<void> = Promise.resolve()
  /** Ends in the same turn as the loop: a writer that is released may come back at once. */
  #isRunning = false
  #full: EngineError | undefined
  /** Why nothing is flushed any more. */
  #end: { readonly error: unknown } | undefined

  constructor(host: FlushHost, work: FlushWork<Step>) {
    this.#host = host
    this.#work = work
    this.#seals = new WaitingSeals(host.runs)
  }

  /** What it adds to the statistics of an engine. */
  statistics(): { flushCount: number; bytesFlushed: number; isStorageFull: boolean } {
    const { flushCount, bytesFlushed } = this
    return { flushCount, bytesFlushed, isStorageFull: isEngineError(this.#full, "STORAGE_FULL") }
  }

  /** Set while the disk is full, or new runs cannot be read; writing is tried again until it is not. */
  get full(): EngineError | undefined {
    return this.#full
  }

  /** There is more in memory. Called after each write; cheap. */
  request(): void {
    if (this.#work.isDue() && !this.#isRunning) this.#start()
  }

  /** Undefined, or, when the disk is behind the writers, a promise that resolves when it has caught up. */
  pressure(): Promise<void> | undefined {
    if (!this.#work.isBehind() || !this.#isRunning || this.#full !== undefined) return undefined
    return this.#relief.wait()
  }

  /**
   * Called in the turn of the seal. Resolves the retained runs that hold everything below the seal and nothing above
   * it, durable. @throws (rejects) EngineError `STORAGE_FULL`, `STORAGE_FAILED`, `ENGINE_CLOSED`
   */
  flush(seal: { readonly at: number }): Promise<readonly OpenRun[]> {
    if (this.#end !== undefined) return Promise.reject(this.#end.error)
    this.#work.sealed(seal.at)
    const flushed = this.#seals.wait(seal.at)
    if (!this.#isRunning) this.#start()
    return flushed
  }

  /** Stops, and waits for what is under way; seals that wait are refused. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#loop
    this.#stop(new EngineError("ENGINE_CLOSED", "the engine was closed before the flush was done"))
    await this.#work.close()
  }

  #start(): void {
    this.#isRunning = true
    this.#loop = this.#run()
  }

  async #run(): Promise<void> {
    // In a later turn: the caller of a write goes on first, and all writes of the turn are flushed together.
    await this.#host.clock.nextTurn()
    while (!this.#closing.signal.aborted && this.#end === undefined) {
      this.#seals.flushedTo(this.#work.flushed)
      const step = this.#work.next(this.#seals.first)
      if (step === undefined) break
      await this.#flush(step)
      // A seal may have asked for a small part only: then writers wait on.
      if (!this.#work.isBehind()) this.#relief.release()
    }
    this.#isRunning = false
    this.#relief.release()
  }

  async #flush(step: Step): Promise<void> {
    try {
      const figures = await this.#work.flush(step)
      this.#full = undefined
      if (figures === undefined) return
      this.flushCount++
      this.bytesFlushed += figures.bytes
    } catch (error) {
      if (isEngineError(error, "STORAGE_FULL") || error instanceof UnopenedRun) {
        this.#full = error
        this.#refuse(error)
        await this.#host.clock.sleep(FULL_RETRY_MS, this.#closing.signal)
      } else {
        this.#stop(error)
        this.#host.poison(error)
      }
    }
  }

  #stop(error: unknown): void {
    this.#end ??= { error }
    this.#refuse(error)
  }

  #refuse(error: unknown): void {
    this.#seals.rejectAll(error)
    this.#relief.release()
  }
}
