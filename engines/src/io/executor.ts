// The one door to other threads. A job is a named function over plain data: what it needs from outside
// comes through its context, so the same job runs in a pool of threads or, in tests, inline on a simulated
// disk.

import type { Clock } from "./clock.ts"
import type { FileSystem } from "./file-system.ts"
import type { ObjectStore } from "./object-store.ts"
import type { Random } from "./random.ts"

/** What a job may reach. */
export interface JobContext {
  readonly fileSystem: FileSystem
  readonly clock: Clock
  readonly random: Random
  /** The object store at `url`; opened once per thread. */
  objectStore(url: string): Promise<ObjectStore>
}

/**
 * A job: input and output survive structured cloning. `module` is the URL of the file that exports this job
 * under `name`, so that a thread finds it: `export const mergeRuns = defineJob(import.meta.url, "mergeRuns", …)`.
 */
export interface Job<Input, Output> {
  readonly module: string
  readonly name: string
  /** Long work that nobody waits for. It has a thread of its own, so that the others find one free. */
  readonly isBackground: boolean
  readonly run: (context: JobContext, input: Input) => Promise<Output>
}

export interface Executor {
  /**
   * Runs `job` away from the caller's thread. Buffers in `transfer` are moved, not copied: the caller loses
   * them. Buffers in the output are moved back. Rejects with what the job threw (an EngineError stays one),
   * or with EngineError `ENGINE_CLOSED` once the executor is closed.
   *
   * When `signal` is aborted, the next read or write of the job's files fails with `ENGINE_CLOSED`; the job tidies up
   * as after a failed disk. One that is done by then resolves.
   */
  run<Input, Output>(
    job: Job<Input, Output>,
    input: Input,
    transfer?: readonly ArrayBuffer[],
    signal?: AbortSignal,
  ): Promise<Output>
  /** Refuses new jobs, waits for running ones and frees the threads. */
  close(): Promise<void>
}

/** Declares a job. `name` must be the name under which `module` exports it. */
export function defineJob<Input, Output>(
  module: string,
  name: string,
  run: (context: JobContext, input: Input) => Promise<Output>,
): Job<Input, Output> {
  return { module, name, isBackground: false, run }
}

/** Declares a job that may take long and that nobody waits for. */
export function defineBackgroundJob<Input, Output>(
  module: string,
  name: string,
  run: (context: JobContext, input: Input) => Promise<Output>,
): Job<Input, Output> {
  return { module, name, isBackground: true, run }
}
