// Keeps the levels of a run set short: watches it, and merges off the caller's thread, one merge at a time, while
// reads and writes go on.
//
//   plan -> job writes the output -> output opened and put in the place of its inputs -> references moved over
//        -> inputs let go; plan again
//
// A merge that fails leaves the set as it was and is tried again when the next run is added. When moving the
// references fails, both stay: the output stands for its inputs, whose addresses stay readable.
//
// Closing tells the running job to stop: it removes what it has written, and the inputs stay.

import { isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { Executor } from "../io/executor.ts"
import type { Random } from "../io/random.ts"
import { type MergeDebt, type MergePolicy, mergeDebt, planMerge } from "./merge-policy.ts"
import { MergePressure } from "./merge-pressure.ts"
import type { MergeInput, MergeOutput } from "./merge-runs.ts"
import { newRun } from "./new-run.ts"
import type { OpenRun } from "./open-run.ts"
import type { Relocations } from "./relocations.ts"
import type { RunDirectory } from "./run-directory.ts"
import type { RunSet } from "./run-set.ts"

/** What is due when a state is opened waits until it has answered something: a merge takes the disk and a core. */
const START_MS = 500

/** When runs merge, and the act, which runs off the caller's thread. */
export interface Merging {
  readonly policy: MergePolicy
  /** @throws (rejects) EngineError as `mergeRuns`; no output is there then */
  readonly merge: (executor: Executor, input: MergeInput) => Promise<MergeOutput>
}

export interface MergerParts {
  readonly runs: RunSet
  readonly directory: RunDirectory
  readonly executor: Executor
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">
  readonly random: Random
  readonly hashSeed: number
  readonly merging: Merging
  /** Whether the run is to keep its layout, and its records their addresses, through a merge; see EngineCore. */
  readonly keepsAddresses: (run: OpenRun) => boolean
  /** Moves references over; see EngineCore. The inputs are let go when it resolves. */
  readonly relocate: (inputs: readonly OpenRun[], output: OpenRun, relocations: Relocations) => Promise<void>
  /** Hears, in the same turn, that the output stands for its inputs, which are still held. */
  readonly replaced?: (inputs: readonly OpenRun[], output: OpenRun) => void
  /** Hears of a merge that failed. */
  readonly onError: (error: unknown) => void
}

/** Merges runs of a set from its construction until it is closed. Takes over `onAdded` of the set. */
export class Merger {
  readonly #parts: MergerParts
  /** What writers wait for when merges are behind. */
  readonly pressure: MergePressure
  readonly #executor: Executor
  readonly #closing = new AbortController()
  #loop: Promise<void> | undefined
  #isClosed = false
  #addedCount = 0
  /** Never rejects. */
  readonly #opening: Promise<void>
  /** An input of the next merge that is on its way. */
  #awaited: OpenRun | undefined
  #mergeCount = 0
  #bytesMerged = 0
  #failureCount = 0
  #mergingMs = 0
  /** Of the merge that is under way. */
  #startedMs: number | undefined

  constructor(parts: MergerParts) {
    this.#parts = parts
    this.#executor = stoppable(parts.executor, this.#closing.signal)
    const { maxRunsPerLevel } = parts.merging.policy
    this.pressure = new MergePressure({ clock: parts.clock, maxRunsPerLevel })
    this.pressure.levels(parts.runs.byLevel)
    parts.runs.onAdded = () => {
      this.#addedCount++
      this.pressure.levels(parts.runs.byLevel)
      this.#start()
    }
    this.#opening = parts.clock.sleep(START_MS, this.#closing.signal).then(() => this.#start())
  }

  /** Merges that were completed. */
  get mergeCount(): number {
    return this.#mergeCount
  }

  /** Bytes of the files that merges have written. */
  get bytesMerged(): number {
    return this.#bytesMerged
  }

  /** Merges that failed; one that was told to stop has not. */
  get failureCount(): number {
    return this.#failureCount
  }

  /** For how long merges ran, with the one that is under way; in milliseconds. */
  get mergingMs(): number {
    const { clock } = this.#parts
    return this.#mergingMs + (this.#startedMs === undefined ? 0 : clock.monotonicMs() - this.#startedMs)
  }

  /** What is due now, inputs of the merge that is under way included. */
  get debt(): MergeDebt {
    const { runs, merging } = this.#parts
    return mergeDebt(runs.figures, merging.policy)
  }

  /** Resolves when no merge runs and none is due, or the last one failed. Never rejects. */
  async idle(): Promise<void> {
    await this.#opening
    while (this.#loop !== undefined) await this.#loop
  }

  /** Starts no more merges, tells the running one to stop, and waits until it has. Writers that wait go on. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#closing.abort()
    this.pressure.close()
    this.#parts.runs.onAdded = undefined
    await this.idle()
  }

  #start(): void {
    if (this.#loop !== undefined || this.#isClosed) return
    this.#loop = this.#run().finally(() => {
      this.#loop = undefined
    })
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const addedBefore = this.#addedCount
      try {
        if (!(await this.#mergeOnce())) return
        this.pressure.failing(false)
      } catch (error) {
        // One that was told to stop has not failed.
        if (this.#isClosed && isEngineError(error, "ENGINE_CLOSED")) return
        this.pressure.failing(true)
        this.#failureCount++
        this.#parts.onError(error)
        // Again only when a run came meanwhile: the same merge would fail the same way.
        if (addedBefore === this.#addedCount) return
      }
    }
  }

  /** Merges read files: one whose inputs are still on their way waits, and holds no writer up meanwhile. */
  #mergeWhenLocal(run: OpenRun): void {
    this.pressure.failing(true)
    if (this.#awaited === run) return
    this.#awaited = run
    void run.local().then(() => {
      if (this.#awaited === run) this.#awaited = undefined
      this.#start()
    })
  }

  /** False when no merge is due, or the inputs of the next one are not here yet. */
  async #mergeOnce(): Promise<boolean> {
    const { runs, directory, merging } = this.#parts
    const candidates = runs.newestFirst.map((open) => ({ ...open.figures, open }))
    const plan = planMerge(candidates, merging.policy)
    if (plan === undefined) return false
    const inputs = plan.inputs.map((candidate) => candidate.open)
    const absent = inputs.find(({ isLocal }) => !isLocal)
    if (absent !== undefined) {
      this.#mergeWhenLocal(absent)
      return false
    }
    for (const input of inputs) input.retain()
    this.#startedMs = this.#parts.clock.monotonicMs()
    try {
      const { origin, path } = newRun(this.#parts, plan.outputLevel)
      const keptInputs = [...inputs.keys()].filter((i) => this.#parts.keepsAddresses(inputs[i]!))
      const { figures, relocations } = await merging.merge(this.#executor, {
        inputs: inputs.map((run) => run.path),
        keptInputs,
        output: origin,
        outputPath: path,
        dropsTombstones: plan.dropsTombstones,
      })
      const output = await directory.adopt(figures)
      runs.replace(inputs, output, relocations.keptOffsets)
      this.pressure.levels(runs.byLevel)
      this.#parts.replaced?.(inputs, output)
      this.#mergeCount++
      this.#bytesMerged += figures.bytes
      await this.#parts.relocate(inputs, output, relocations)
      runs.retire(inputs)
    } finally {
      this.#mergingMs = this.mergingMs
      this.#startedMs = undefined
      for (const input of inputs) input.release()
    }
    return true
  }
}

/** The executor, with jobs that stop when `signal` is aborted. */
function stoppable(executor: Executor, signal: AbortSignal): Executor {
  return {
    run: (job, input, transfer = []) => executor.run(job, input, transfer, signal),
    close: () => executor.close(),
  }
}
