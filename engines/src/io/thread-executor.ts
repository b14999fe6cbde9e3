// Runs jobs in threads, by two piscina pools: one thread for background jobs, the others for those that somebody
// waits for. A pool starts its first thread with its first job, or when it is told: starting one holds the caller's thread
// for some milliseconds. A thread that was idle for a while ends, all but one; idle threads keep no process alive.
//
// A thread that dies (out of memory, `process.exit`, an error in a callback that nobody awaits) fails the job
// that it ran, and no other: the pool starts a new one.

import { Piscina } from "piscina"
import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import type { Executor, Job } from "./executor.ts"
import { decodeError, type JobAnswer, type JobRequest, type ThreadStart } from "./job-message.ts"
import { movableBuffers } from "./movable-buffers.ts"
import { RequestFigures } from "./request-figures.ts"

/** Jobs that wait for a thread. Merges, snapshots and restores come by ones and tens: more is a runaway. */
const JOBS_WAITING_MAX = 10_000
/** Long: a thread that ends is soon started again, which is a pause. */
const IDLE_THREAD_MS = 300_000
const TIMER_MS_MAX = 2 ** 31 - 1

/** Threads load the built package, and jobs from built modules: loaders of TypeScript do not reach into threads. */
const THREAD_MODULE = new URL("./executor-thread.js", import.meta.url).href

type Pool = Piscina<JobRequest, JobAnswer>

export interface ThreadExecutorOptions {
  /** Threads at most for jobs that somebody waits for, at least 1. */
  readonly threads: number
  /** Where the requests of jobs to object stores are counted. */
  readonly requests?: RequestFigures
}

/** An Executor over threads of this process. */
export class ThreadExecutor implements Executor {
  readonly #threads: number
  readonly #requests: RequestFigures
  readonly #running = new Set<Promise<unknown>>()
  readonly #pools: { foreground: Pool | undefined; background: Pool | undefined } = {
    foreground: undefined,
    background: undefined,
  }
  #closing: Promise<void> | undefined
  /** Not 0: threads close their object stores. Shared with all threads. */
  readonly #objectStoresClosed = new Int32Array(new SharedArrayBuffer(4))

  constructor(options: ThreadExecutorOptions) {
    assert(Number.isInteger(options.threads) && options.threads >= 1, "there is at least one thread")
    this.#threads = options.threads
    this.#requests = options.requests ?? new RequestFigures()
  }

  /** Starts the first thread of each pool now, for who does not want to be held up later. */
  startThreads(): void {
    if (this.#closing !== undefined) return
    for (const lane of ["foreground", "background"] as const) this.#pools[lane] ??= this.#startPool(lane)
  }

  async run<Input, Output>(
    job: Job<Input, Output>,
    input: Input,
    transfer: readonly ArrayBuffer[] = [],
    signal?: AbortSignal,
  ): Promise<Output> {
    if (this.#closing !== undefined) {
      throw new EngineError("ENGINE_CLOSED", `job ${job.name} was not run: the executor is closed`)
    }
    // Cloned now and not when a thread is free: the caller may change its input as soon as the call returns.
    const moved = structuredClone(input, { transfer: [...transfer] })
    const stop = signal === undefined ? undefined : new Int32Array(new SharedArrayBuffer(4))
    const tell = (): void => {
      if (stop !== undefined) Atomics.store(stop, 0, 1)
    }
    if (signal?.aborted === true) tell()
    signal?.addEventListener("abort", tell)
    const running = this.#post(job, moved, stop)
    this.#running.add(running)
    // The pool does not hold the process while the first thread is still starting.
    const holdProcess = setInterval(() => undefined, TIMER_MS_MAX)
    try {
      const answer = await running
      if ("failure" in answer) throw decodeError(answer.failure)
      return answer.output as Output
    } finally {
      clearInterval(holdProcess)
      signal?.removeEventListener("abort", tell)
      this.#running.delete(running)
    }
  }

  /**
   * Jobs are done with object stores: requests that they wait for fail, also later ones. For a stop that must not
   * wait for a store that does not answer.
   */
  closeObjectStores(): void {
    Atomics.store(this.#objectStoresClosed, 0, 1)
    Atomics.notify(this.#objectStoresClosed, 0)
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeWhenIdle()
    return this.#closing
  }

  async #closeWhenIdle(): Promise<void> {
    await Promise.allSettled(this.#running)
    await this.#pools.foreground?.destroy()
    await this.#pools.background?.destroy()
  }

  async #post<Input, Output>(
    job: Job<Input, Output>,
    input: Input,
    stop: Int32Array<SharedArrayBuffer> | undefined,
  ): Promise<JobAnswer> {
    const lane = job.isBackground ? "background" : "foreground"
    this.#pools[lane] ??= this.#startPool(lane)
    const pool = this.#pools[lane]
    const request = { module: job.module, name: job.name, input, ...(stop === undefined ? {} : { stop }) }
    try {
      return await pool.run(request, {
        filename: THREAD_MODULE,
        name: "runJob",
        transferList: movableBuffers(input),
      })
    } catch (error) {
      // A job's own failure is an answer; what is thrown here comes from the thread itself.
      const why = error instanceof Error ? error.message : String(error)
      throw new EngineError("STORAGE_FAILED", `the thread of job ${job.name} failed: ${why}`, {
        cause: error,
      })
    }
  }

  #startPool(lane: "foreground" | "background"): Pool {
    const pool: Pool = new Piscina<JobRequest, JobAnswer>({
      // One stays, or jobs that wait would wait for ever when the last thread dies.
      minThreads: 1,
      maxThreads: lane === "background" ? 1 : this.#threads,
      idleTimeout: IDLE_THREAD_MS,
      maxQueue: JOBS_WAITING_MAX,
      // A thread that waits in Atomics.wait gets nothing else done, such as closing files.
      atomics: "disabled",
      workerData: {
        objectStoresClosed: this.#objectStoresClosed,
        requests: this.#requests.memory,
      } satisfies ThreadStart,
    })
    // A thread died that had no job. The pool has replaced it, unless threads cannot even start: then whoever
    // waits is told, and the next job begins with a new pool.
    pool.on("error", () => {
      if (pool.threads.length > 0 || this.#pools[lane] !== pool) return
      this.#pools[lane] = undefined
      void pool.destroy()
    })
    return pool
  }
}
