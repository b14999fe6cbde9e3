// Helper threads that can be kept from beginning certain jobs, in front of others.

import type { Executor, FillRunInput, Job } from "@varve/engines/internal"

/** Kind of the chunks that hold records. */
const RECORDS_KIND = 1

export class GatedExecutor implements Executor {
  readonly #inner: Executor
  readonly #isHeld: (jobName: string, input: unknown) => boolean
  readonly #waiting = new Set<() => void>()
  #isOpen = false

  /** @param isHeld which jobs begin only once the gate is open */
  constructor(inner: Executor, isHeld: (jobName: string, input: unknown) => boolean) {
    this.#inner = inner
    this.#isHeld = isHeld
  }

  /** Jobs that wait at the gate. */
  get waitingCount(): number {
    return this.#waiting.size
  }

  async run<Input, Output>(
    job: Job<Input, Output>,
    input: Input,
    transfer: readonly ArrayBuffer[] = [],
    signal?: AbortSignal,
  ): Promise<Output> {
    if (!this.#isOpen && this.#isHeld(job.name, input)) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve)
        signal?.addEventListener("abort", () => resolve(), { once: true })
      })
    }
    return this.#inner.run(job, input, transfer, signal)
  }

  /** For good. */
  open(): void {
    this.#isOpen = true
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

/** Whether a job fetches records, and not only the index, of a run. */
export function fetchesRecords(jobName: string, input: unknown): boolean {
  return jobName === "fillRun" && (input as FillRunInput).stretch.chunks.kinds.includes(RECORDS_KIND)
}
