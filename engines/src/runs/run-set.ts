// The runs of one state, and the addresses under which the hash index knows their records. A run that was flushed
// from the log keeps the addresses that its bytes had there; merged and loaded runs get stretches of the upper
// half of the address space.
//
//   0            log address of a flushed run                2^47          merged and loaded runs
//   ├──[ run 7 )──[ run 8 )────[ run 9 ) … log in memory ────┼──[ run 3 )[ run 6 )[ run 10 )─────── 2^47 + 2^46
//
// After a merge the output stands for its inputs at once, but the addresses of the inputs stay readable until
// every reference was moved (`retire`). An input whose layout the output has kept hands its addresses over:
//
//   before   [ run 7 )──[ run 8 )                    after   [ run 9 from byte 0 )──[ run 9 from byte 812 )

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

/** Addresses `[base, end)`, which are the bytes of `run` from `offset` on. */
interface Stretch {
  readonly run: OpenRun
  readonly base: number
  readonly end: number
  readonly offset: number
  /** The one that the run was given when it was added; others were handed over to it. */
  readonly isOwn: boolean
}

/** One owner, who closes it. */
export class RunSet {
  /** The number that names of new runs carry: the newest version sealed. */
  version = 0
  /** Where the address that `runAt` was asked for lies in its run. */
  offset = 0
  /** Called after each `add`. */
  onAdded: (() => void) | undefined

  #newestFirst: readonly OpenRun[] = []
  /** By address: of the runs of the state, and of replaced ones until they are retired. */
  #stretches: readonly Stretch[] = []
  /** All of these runs are held. */
  readonly #held = new Set<OpenRun>()
  #freeBase = RUN_ADDRESS_BASE

  /** Takes runs out of the state that nothing refers to any more, and lets go of them. */
  remove(runs: readonly OpenRun[]): void {
    this.#newestFirst = this.#newestFirst.filter((run) => !runs.includes(run))
    this.retire(runs)
  }

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
   * @param keptOffsets for each input whose layout the output has kept, where its first byte lies in the output:
   *   its addresses mean the output from now on; -1, or nothing, for the others.
   */
  replace(inputs: readonly OpenRun[], output: OpenRun, keptOffsets: readonly number[] = []): void {
    const rest = this.#newestFirst.filter((run) => !inputs.includes(run))
    assert(rest.length === this.#newestFirst.length - inputs.length, "merged runs belong to the state")
    this.#place(output, this.#freeStretch(output.figures.recordsBytes))
    this.#newestFirst = [...rest, output].sort(byNewness)
    const stretches = this.#stretches.map((stretch) => {
      const keptOffset = keptOffsets[inputs.indexOf(stretch.run)] ?? -1
      if (keptOffset < 0) return stretch
      return { ...stretch, run: output, offset: keptOffset + stretch.offset, isOwn: false }
    })
    this.#stretches = stretches.reduce<Stretch[]>(joinNeighbours, [])
  }

  /** Forgets replaced runs: their addresses, and the holds on them. */
  retire(inputs: readonly OpenRun[]): void {
    for (const input of inputs) {
      assert(!this.#newestFirst.includes(input), "a retired run was replaced before")
      assert(this.#held.delete(input), "a run is retired once")
      this.#stretches = this.#stretches.filter((stretch) => stretch.run !== input)
      input.release()
    }
  }

  /** The run that holds `address`; undefined when none does. Read from it in the same turn, or retain it. */
  byAddress(address: number): RunPlace | undefined {
    const run = this.runAt(address)
    return run === undefined ? undefined : { run, offset: this.offset }
  }

  /** As `byAddress`, without an object: the offset is in `offset` until the next call. */
  runAt(address: number): OpenRun | undefined {
    const stretch = this.#stretches[this.#firstBehind(address) - 1]
    if (stretch === undefined || address >= stretch.end) return undefined
    this.offset = stretch.offset + address - stretch.base
    return stretch.run
  }

  /** Where the bytes of a run have their addresses, replaced runs included until they are retired. */
  addressesOf(run: OpenRun): RunAddresses {
    const stretches = this.#stretches.filter((stretch) => stretch.run === run)
    assert(
      stretches.some(({ isOwn }) => isOwn),
      "the run belongs to the set and has not handed its addresses over",
    )
    return new RunAddresses(stretches)
  }

  /** Whether bytes of the run have addresses of the log at or above `address`. */
  reachesIntoLog(run: OpenRun, address: number): boolean {
    return this.#stretches.some(
      ({ run: other, base, end }) => other === run && base < RUN_ADDRESS_BASE && end > address,
    )
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

  /** Bytes of them that are on this disk; the rest is on its way. */
  get bytesLocal(): number {
    return this.#newestFirst.reduce((bytes, run) => bytes + run.bytesLocal, 0)
  }

  /** Bytes of them that cannot be had: damaged where they come from. */
  get bytesDamaged(): number {
    return this.#newestFirst.reduce((bytes, run) => bytes + run.bytesDamaged, 0)
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
    this.#stretches = []
    for (const run of this.#held) run.release()
    this.#held.clear()
  }

  #place(run: OpenRun, base: number): void {
    const stretch: Stretch = { run, base, end: base + run.figures.recordsBytes, offset: 0, isOwn: true }
    const index = this.#firstBehind(base)
    assert((this.#stretches[index - 1]?.end ?? 0) <= base, "no two runs share an address")
    assert((this.#stretches[index]?.base ?? stretch.end) >= stretch.end, "no two runs share addresses")
    this.#stretches = this.#stretches.toSpliced(index, 0, stretch)
    this.#held.add(run)
  }

  /** Index of the first stretch whose base is above `address`. */
  #firstBehind(address: number): number {
    const stretches = this.#stretches
    let low = 0
    let high = stretches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (stretches[middle]!.base <= address) low = middle + 1
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

/** Addresses of one run: those of its own, and those that inputs with the same layout have handed over. */
export class RunAddresses {
  /** The log's before others: what was flushed from the log is known by its address there. */
  readonly #handedOver: readonly Stretch[]
  readonly #ownBase: number

  /** @param stretches of the run, in the order of addresses. */
  constructor(stretches: readonly Stretch[]) {
    this.#handedOver = stretches.filter(({ isOwn }) => !isOwn)
    this.#ownBase = stretches.find(({ isOwn }) => isOwn)!.base
  }

  /** The address under which references know the byte at `offset` of the run. */
  at(offset: number): number {
    for (const { base, end, offset: start } of this.#handedOver) {
      if (offset >= start && offset < start + (end - base)) return base + offset - start
    }
    return this.#ownBase + offset
  }
}

/** Stretches of runs that were flushed one after the other, and merged as they were, are one. */
function joinNeighbours(joined: Stretch[], next: Stretch): Stretch[] {
  const last = joined.at(-1)
  const isJoined =
    last !== undefined &&
    last.run === next.run &&
    !last.isOwn &&
    !next.isOwn &&
    last.end === next.base &&
    last.offset + (last.end - last.base) === next.offset
  if (isJoined) joined[joined.length - 1] = { ...last, end: next.end }
  else joined.push(next)
  return joined
}

function byNewness(a: OpenRun, b: OpenRun): number {
  return compareNewestFirst(a.figures, b.figures)
}
