// Runs jobs on the caller's own thread: for tests on a simulated disk, and for programs that want no threads.
// Input and output are cloned and moved as between threads, so that a job that shares memory with its caller
// by mistake fails here too.

import { EngineError } from "../base/error.ts"
import type { Executor, Job, JobContext } from "./executor.ts"
import { makeJobContext, type OwnedJobContext } from "./job-context.ts"
import { movableBuffers } from "./movable-buffers.ts"
import { stoppableContext } from "./stoppable-context.ts"

/** An Executor without threads. Jobs begin after the call has returned, and overlap where they wait. */
export class InlineExecutor implements Executor {
  readonly #context: OwnedJobContext
  readonly #running = new Set<Promise<unknown>>()
  #closed = false

  /** @param seams what jobs reach */
  constructor(seams: Pick<JobContext, "fileSystem" | "clock" | "random">) {
    this.#context = makeJobContext(seams)
  }

  async run<Input, Output>(
    job: Job<Input, Output>,
    input: Input,
    transfer: readonly ArrayBuffer[] = [],
    signal?: AbortSignal,
  ): Promise<Output> {
    if (this.#closed) {
      throw new EngineError("ENGINE_CLOSED", `job ${job.name} was not run: the executor is closed`)
    }
    // Synchronous, as when a message is posted: the caller may change its input as soon as the call returns.
    const moved = structuredClone(input, { transfer: [...transfer] })
    const running = this.#runLater(job, moved, signal)
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#running)
    await this.#context.close()
  }

  async #runLater<Input, Output>(
    job: Job<Input, Output>,
    input: Input,
    signal: AbortSignal | undefined,
  ): Promise<Output> {
    await Promise.resolve()
    const context =
      signal === undefined ? this.#context : stoppableContext(this.#context, () => signal.aborted)
    const output = await job.run(context, input)
    return structuredClone(output, { transfer: movableBuffers(output) })
  }
}
