// The runs of one state, and the addresses under which the hash index knows their records. A run that was flushed
// from the log keeps the addresses that its bytes had there; merged and loaded runs get stretches of the upper
// half of the address space.
//
//   0            log address of a flushed run                2^47          merged and loaded runs
//   ├──[ run 7 )──[ run 8 )────[ run 9 ) … log in memory ────┼──[ run 3 )[ run 6 )[ run 10 )─────── 2^47 + 2^46
//
// After a merge the output stands for its inputs at once, but the addresses of the inputs stay readable until
// every reference was moved (`retire`).

import { assert } from "../base/assert.ts"
import type { OpenRun } from "./open-run.ts"
import { compareNewestFirst, type RunFigures } from "./run.ts"
import { RUN_RECORDS_BYTES_MAX } from "./run-format.ts"

export type { OpenRun }

/** Where an address lies. */
export interface RunPlace {
  readonly run: OpenRun
  /** Within the run. */
  readonly offset: number
}

/** First address that belongs to merged and loaded runs; those below belong to the log. */
export const RUN_ADDRESS_BASE = 2 ** 47
const RUN_ADDRESS_END = RUN_ADDRESS_BASE + RUN_RECORDS_BYTES_MAX

interface Stretch {
  readonly run: OpenRun
  readonly base: number
  readonly end: number
}

/** One owner, who closes it. */
export class RunSet {
  /** The number that names of new runs carry: the newest version sealed. */
  version = 0
  /** Called after each `add`. */
  onAdded: (() => void) | undefined

  #newestFirst: readonly OpenRun[] = []
  /** By address: the runs of the state, and replaced ones until they are retired. */
  readonly #stretches: Stretch[] = []
  #freeBase = RUN_ADDRESS_BASE

  /**
   * Adds a run and takes over the caller's hold.
   * @param base address of its first byte; by default a free stretch of the upper half
   */
  add(run: OpenRun, base?: number): void {
    this.#place(run, base ?? this.#freeStretch(run.figures.recordsBytes))
    this.#newestFirst = [...this.#newestFirst, run].sort(byNewness)
    this.onAdded?.()
  }

  /**
   * Puts `output`, taking over the caller's hold, in the place of `inputs`. Addresses of the inputs stay readable,
   * and the inputs held, until `retire`.
   */
  replace(inputs: readonly OpenRun[], output: OpenRun): void {
    const rest = this.#newestFirst.filter((run) => !inputs.includes(run))
    assert(rest.length === this.#newestFirst.length - inputs.length, "merged runs belong to the state")
    this.#place(output, this.#freeStretch(output.figures.recordsBytes))
    this.#newestFirst = [...rest, output].sort(byNewness)
  }

  /** Forgets replaced runs: their addresses, and the holds on them. */
  retire(inputs: readonly OpenRun[]): void {
    for (const input of inputs) {
      assert(!this.#newestFirst.includes(input), "a retired run was replaced before")
      const index = this.#stretches.findIndex((stretch) => stretch.run === input)
      assert(index >= 0, "a run is retired once")
      this.#stretches.splice(index, 1)
      input.release()
    }
  }

  /** The run that holds `address`; undefined when none does. Read from it in the same turn, or retain it. */
  byAddress(address: number): RunPlace | undefined {
    const stretch = this.#stretches[this.#firstBehind(address) - 1]
    if (stretch === undefined || address >= stretch.end) return undefined
    return { run: stretch.run, offset: address - stretch.base }
  }

  /** Address of the first byte of a run of this set, replaced ones included until they are retired. */
  baseOf(run: OpenRun): number {
    const stretch = this.#stretches.find((candidate) => candidate.run === run)
    assert(stretch !== undefined, "the run belongs to the set")
    return stretch.base
  }

  /** The runs of the state. A new array after each change; no array changes. */
  get newestFirst(): readonly OpenRun[] {
    return this.#newestFirst
  }

  /** Number of runs in each level, from level 0 on. */
  get byLevel(): readonly number[] {
    const counts: number[] = []
    for (const { figures } of this.#newestFirst) {
      while (counts.length <= figures.level) counts.push(0)
      counts[figures.level]!++
    }
    return counts
  }

  /** Newest first. */
  get figures(): RunFigures[] {
    return this.#newestFirst.map((run) => run.figures)
  }

  /** Bytes of the files of the state. */
  get diskBytes(): number {
    return this.#newestFirst.reduce((bytes, run) => bytes + run.figures.bytes, 0)
  }

  /** `newestFirst`, each retained for the caller. */
  retainAll(): readonly OpenRun[] {
    for (const run of this.#newestFirst) run.retain()
    return this.#newestFirst
  }

  /** Gives up all holds. What nobody else holds is deleted, unless the directory keeps its files. */
  close(): void {
    this.onAdded = undefined
    this.#newestFirst = []
    for (const { run } of this.#stretches.splice(0)) run.release()
  }

  #place(run: OpenRun, base: number): void {
    const stretch: Stretch = { run, base, end: base + run.figures.recordsBytes }
    const index = this.#firstBehind(base)
    assert((this.#stretches[index - 1]?.end ?? 0) <= base, "no two runs share an address")
    assert((this.#stretches[index]?.base ?? stretch.end) >= stretch.end, "no two runs share addresses")
    this.#stretches.splice(index, 0, stretch)
  }

  /** Index of the first stretch whose base is above `address`. */
  #firstBehind(address: number): number {
    let low = 0
    let high = this.#stretches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#stretches[middle]!.base <= address) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * The next free stretch behind the last one given, from the beginning again at the end: addresses come back as
   * late as possible.
   */
  #freeStretch(bytes: number): number {
    let base = this.#freeBase
    for (let passes = 0; passes < 2; passes++) {
      for (const stretch of this.#stretches) {
        if (stretch.base < base + bytes && stretch.end > base) base = stretch.end
      }
      if (base + bytes <= RUN_ADDRESS_END) {
        this.#freeBase = base + bytes
        return base
      }
      base = RUN_ADDRESS_BASE
    }
    throw new Error("invariant broken: 64 TiB of runs leave a free stretch")
  }
}

function byNewness(a: OpenRun, b: OpenRun): number {
  return compareNewestFirst(a.figures, b.figures)
}
