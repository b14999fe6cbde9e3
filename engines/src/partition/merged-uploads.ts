// Merged runs on their way to the repository, behind the versions: one after the other, within the repository's budget.
// Until one is there, manifests list what it was made of (listed-runs.ts).
//
//   merge ──► waiting ──► cut ──► packs, each when the budget allows ──► manifests list it
//                │          │
//                └──────────┴──► merged again: given up
//
// They go in the order of their age, the oldest first: a manifest that listed a newer one by itself and an older one
// by its inputs would put the inputs, which are of lower levels, above it. So one on its way makes room for an older
// one, and finds its packs there when its turn comes again. What fails is tried again at the next merge or version.
//
// A budget that merges outrun for long would have manifests list more and more inputs. From INPUTS_LISTED_MAX on the
// budget does not count until they are fewer.

import { compareNewestFirst } from "../runs/run.ts"
import type { OpenRun, RunSet } from "../runs/run-set.ts"
import type { MergeUpload } from "../snapshots/run-storage.ts"
import type { ListedRuns } from "./listed-runs.ts"

/** Runs in a manifest from which on uploads go as fast as they can: a manifest of some 400 KB. */
export const INPUTS_LISTED_MAX = 1024

export interface MergedUploadsHost {
  readonly runs: RunSet
  readonly listed: ListedRuns
  readonly warn: (message: string, error: unknown) => void
}

interface Upload extends MergeUpload {
  readonly run: OpenRun
  readonly stopping: AbortController
  readonly hurrying: AbortController
}

/** Of one state, which closes it. */
export class MergedUploads {
  readonly #host: MergedUploadsHost
  /** Oldest first, each held; the first one may be on its way. */
  readonly #waiting: OpenRun[]
  #current: Upload | undefined
  /** The last one that was begun. */
  #loop: Promise<void> | undefined
  #isGoing = false
  #isClosing = false
  #bytesStored = 0

  /** Goes on with those of an earlier life: runs of the state for which versions list others. */
  constructor(host: MergedUploadsHost) {
    this.#host = host
    this.#waiting = host.runs.newestFirst.filter((run) => host.listed.isListedByInputs(run)).reverse()
    for (const run of this.#waiting) run.retain()
    this.goOn()
  }

  /** Length of the runs that wait, the one on its way included. */
  get bytesWaiting(): number {
    return this.#waiting.reduce((bytes, { figures }) => bytes + figures.bytes, 0)
  }

  /** Bytes of packs that were written. */
  get bytesStored(): number {
    return this.#bytesStored
  }

  /** A merge has put `output` in the place of `inputs`, which are still held. */
  merged(inputs: readonly OpenRun[], output: OpenRun): void {
    const { listed, runs } = this.#host
    for (const input of inputs) this.#giveUp(input)
    if (listed.merged(inputs, output, runs.newestFirst)) {
      output.retain()
      this.#waiting.push(output)
      this.#waiting.sort((a, b) => compareNewestFirst(b.figures, a.figures))
      if (this.#current !== undefined && this.#current.run !== this.#waiting[0]) this.#stop()
    }
    if (this.#isUrgent()) this.#current?.hurrying.abort()
    this.goOn()
  }

  /** Begins, or tries again what has failed. */
  goOn(): void {
    if (this.#isClosing || this.#isGoing || this.#waiting.length === 0) return
    this.#isGoing = true
    this.#loop = this.#run()
  }

  /** Waits for no budget: what is on its way ends between two of its packs. Never rejects. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#stop()
    await this.#loop
    for (const run of this.#waiting.splice(0)) run.release()
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      for (let run = this.#waiting[0]; run !== undefined && !this.#isClosing; run = this.#waiting[0]) {
        if (!(await this.#upload(run))) return
      }
    } finally {
      // In the turn of its end: what comes from now on begins the next one.
      this.#isGoing = false
    }
  }

  /** @returns whether the next one may be begun; otherwise it has failed, and is tried again later */
  async #upload(run: OpenRun): Promise<boolean> {
    const upload = this.#begin(run)
    this.#current = upload
    try {
      const { listed } = this.#host
      if (listed.isListedByInputs(run) && !(await listed.storeMerged(run, upload))) return false
      // Otherwise it was given up meanwhile.
      if (this.#waiting.includes(run)) this.#letGo(run)
    } catch (error) {
      if (!upload.stop.aborted) {
        this.#host.warn("a merged run could not be uploaded", error)
        return false
      }
    } finally {
      this.#current = undefined
    }
    return true
  }

  #begin(run: OpenRun): Upload {
    const stopping = new AbortController()
    const hurrying = new AbortController()
    if (this.#isUrgent()) hurrying.abort()
    const onStored = (bytes: number): void => {
      this.#bytesStored += bytes
    }
    return { run, stopping, hurrying, stop: stopping.signal, hurry: hurrying.signal, onStored }
  }

  /** A run that was merged again is listed no more. */
  #giveUp(run: OpenRun): void {
    if (!this.#waiting.includes(run)) return
    if (this.#current?.run === run) this.#stop()
    this.#letGo(run)
  }

  #letGo(run: OpenRun): void {
    this.#waiting.splice(this.#waiting.indexOf(run), 1)
    run.release()
  }

  #stop(): void {
    this.#current?.stopping.abort()
    this.#current?.hurrying.abort()
  }

  #isUrgent(): boolean {
    const { listed, runs } = this.#host
    return listed.countOf(runs.newestFirst) > INPUTS_LISTED_MAX
  }
}
