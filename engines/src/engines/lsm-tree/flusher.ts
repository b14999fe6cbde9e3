// What an LSM-tree flushes: sealed memtables, oldest first, each as one sorted run of level 0.

import type { CoreHost } from "../../core.ts"
import { copyInTurns } from "../../runs/copy-in-turns.ts"
import type { FlushWork } from "../../runs/flush-loop.ts"
import { newRun } from "../../runs/new-run.ts"
import type { RunFigures } from "../../runs/run.ts"
import { flushMemtable } from "./flush-memtable.ts"
import type { Memtable } from "./memtable.ts"
import type { Memtables } from "./memtables.ts"
import type { LsmTreeSettings } from "./settings.ts"
import type { Warming } from "./warming.ts"

/** Writers wait when more memtables than this are sealed and not flushed. */
const SEALED_MAX = 2

export class Flusher implements FlushWork<Memtable> {
  readonly #host: CoreHost<LsmTreeSettings>
  readonly #memtables: Memtables
  readonly #warming: Warming

  constructor(host: CoreHost<LsmTreeSettings>, memtables: Memtables, warming: Warming) {
    this.#host = host
    this.#memtables = memtables
    this.#warming = warming
  }

  get flushed(): number {
    return this.#memtables.flushed
  }

  isDue(): boolean {
    return this.#memtables.sealedCount > 0
  }

  isBehind(): boolean {
    return this.#memtables.sealedCount > SEALED_MAX
  }

  sealed(): void {
    // Everything below the seal is in sealed memtables.
  }

  next(): Memtable | undefined {
    return this.#memtables.oldestSealed
  }

  async flush(memtable: Memtable): Promise<RunFigures | undefined> {
    const { clock, directory, executor, runs, settings } = this.#host
    const { bytes } = memtable
    const buffer = await copyInTurns(clock, memtable.end, (target, at) =>
      target.set(bytes.subarray(at, at + target.length)),
    )
    const { origin, path } = newRun(this.#host, 0)
    const { densityFactor, bloomFalsePositiveRate } = settings
    const shape = { densityFactor, bloomFalsePositiveRate }
    // Runs are added by this loop alone: when there are none now, none is older than what is written here.
    const dropsTombstones = runs.newestFirst.length === 0
    const input = { buffer, path, origin, shape, dropsTombstones }
    const figures = await executor.run(flushMemtable, input, [buffer])
    const run = figures === undefined ? undefined : await directory.adopt(figures)
    // In one turn: no reader finds the records in neither place, or a version in both.
    this.#memtables.drop(memtable)
    if (run !== undefined) {
      this.#warming.added(run, runs.newestFirst)
      runs.add(run)
    }
    return figures
  }

  async close(): Promise<void> {
    // A run is made by one job: nothing is half done.
  }
}
