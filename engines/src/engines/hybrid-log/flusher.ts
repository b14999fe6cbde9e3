// What a hybrid log flushes: the read-only region, piece after piece in address order, each as one run that covers the
// same addresses. Due when the region is long enough; a seal asks for everything below it.

import type { CoreHost } from "../../core.ts"
import type { MemoryLog } from "../../hashed/memory-log.ts"
import { copyInTurns } from "../../runs/copy-in-turns.ts"
import type { FlushWork } from "../../runs/flush-loop.ts"
import { newRun } from "../../runs/new-run.ts"
import type { RunFigures } from "../../runs/run.ts"
import { flushLog } from "./flush-log.ts"

/** A step is the address up to which a run is made. */
export class Flusher implements FlushWork<number> {
  readonly #host: CoreHost<unknown>
  readonly #log: MemoryLog
  readonly #intervalBytes: number
  readonly #pressureBytes: number

  /** @param bounds the length of the read-only region, and how much may be unflushed before writers wait; bytes. */
  constructor(
    host: CoreHost<unknown>,
    log: MemoryLog,
    bounds: { readonly intervalBytes: number; readonly pressureBytes: number },
  ) {
    this.#host = host
    this.#log = log
    this.#intervalBytes = bounds.intervalBytes
    this.#pressureBytes = bounds.pressureBytes
  }

  get flushed(): number {
    return this.#log.flushed
  }

  isDue(): boolean {
    return this.#log.readOnly - this.#log.flushed >= this.#intervalBytes
  }

  isBehind(): boolean {
    return this.#log.tail - this.#log.flushed > this.#pressureBytes
  }

  sealed(): void {
    // The log is read-only up to the seal: a run may end there.
  }

  next(sealedAt: number | undefined): number | undefined {
    return sealedAt ?? (this.isDue() ? this.#log.readOnly : undefined)
  }

  async flush(end: number): Promise<RunFigures | undefined> {
    const { clock, directory, executor, runs } = this.#host
    const log = this.#log
    const start = log.flushed
    const buffer = await copyInTurns(clock, end - start, (target, at) => log.copyTo(target, start + at))
    const { origin, path } = newRun(this.#host, 0)
    const figures = await executor.run(flushLog, { buffer, path, origin }, [buffer])
    if (figures !== undefined) runs.add(await directory.adopt(figures), start)
    log.flushed = end
    return figures
  }

  async close(): Promise<void> {
    // A run is made by one job: nothing is half done.
  }
}
