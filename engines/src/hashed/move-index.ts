// After a merge: every place that pointed into an input points into the output. In slices, because a merge may
// move millions of records and writers must not wait for it.

import type { Clock } from "../io/clock.ts"
import { addressOf, isTombstonePlace, tombstonePlace } from "../runs/address.ts"
import type { CollisionTable } from "../runs/collision-table.ts"
import type { HashIndex } from "../runs/hash-index.ts"
import { RELOCATION_DROPPED, type Relocations } from "../runs/merge-runs.ts"
import type { OpenRun, RunSet } from "../runs/run-set.ts"

/** Records moved in one turn of the event loop: about 0.3 ms. */
const SLICE_RECORDS = 1024
/** Displaced records moved in one turn: about 1 ms. */
const SLICE_COLLISIONS = 512

export interface MovedParts {
  readonly index: HashIndex
  readonly collisions: CollisionTable
  readonly runs: RunSet
  readonly clock: Clock
  /** Called for each tombstone that leaves the index. */
  readonly tombstoneLeft: () => void
}

/** Moves what still points to the inputs; what was overwritten meanwhile stays as it is. */
export async function moveIndex(
  { index, collisions, runs, clock, tombstoneLeft }: MovedParts,
  inputs: readonly OpenRun[],
  output: OpenRun,
  relocations: Relocations,
): Promise<void> {
  const { count, h1, h2, tombstone, input, inputOffset, outputOffset } = relocations
  const addresses = sourceAddresses(runs, inputs, output, relocations)
  const target = runs.addressesOf(output)
  const places = new Float64Array(SLICE_RECORDS)
  for (let start = 0; start < count; start += SLICE_RECORDS) {
    const end = Math.min(start + SLICE_RECORDS, count)
    // Fetches the buckets of the slice, so that the processor waits for all of them at once.
    index.getBatch(h1.subarray(start, end), h2.subarray(start, end), places, end - start)
    for (let i = start; i < end; i++) {
      const address = addresses[input[i]!]!(inputOffset[i]!)
      const from = tombstone[i] === 0 ? address : tombstonePlace(address)
      // Overwritten meanwhile.
      if (places[i - start] !== from) continue
      if (outputOffset[i] === RELOCATION_DROPPED) {
        if (index.remove(h1[i]!, h2[i]!, from)) tombstoneLeft()
        continue
      }
      const to = target.at(outputOffset[i]!)
      index.replace(h1[i]!, h2[i]!, from, tombstone[i] === 0 ? to : tombstonePlace(to))
    }
    await clock.nextTurn()
  }
  if (!collisions.isEmpty) await moveCollisions({ collisions, runs, clock }, inputs, output, relocations)
}

/** For each input the address of a byte of it. One that kept its layout has handed its addresses to the output. */
function sourceAddresses(
  runs: RunSet,
  inputs: readonly OpenRun[],
  output: OpenRun,
  { keptOffsets }: Relocations,
): ((offset: number) => number)[] {
  return inputs.map((run, i) => {
    const keptOffset = keptOffsets[i]!
    const addresses = runs.addressesOf(keptOffset < 0 ? run : output)
    return keptOffset < 0 ? (offset) => addresses.at(offset) : (offset) => addresses.at(keptOffset + offset)
  })
}

/**
 * By the places that the table knows: DISPLACED_MAX and a few, each found by bisection among the relocations, which are
 * in the order of the inputs' bytes. What is displaced while this goes on comes from the index, which was moved before.
 */
async function moveCollisions(
  { collisions, runs, clock }: Pick<MovedParts, "collisions" | "runs" | "clock">,
  inputs: readonly OpenRun[],
  output: OpenRun,
  relocations: Relocations,
): Promise<void> {
  const { keptOffsets, outputOffset } = relocations
  const target = runs.addressesOf(output)
  const newPlace = (place: number): number | undefined => {
    const found = runs.byAddress(addressOf(place))
    if (found === undefined) return undefined
    const { run, offset } = found
    if (run === output) {
      // Of an input that has kept its layout: it stays where it is, unless it is a tombstone that was dropped.
      const input = keptOffsets.findIndex(
        (kept, i) => kept >= 0 && offset >= kept && offset < kept + inputs[i]!.figures.recordsBytes,
      )
      const isDropped = input >= 0 && indexOf(relocations, input, offset - keptOffsets[input]!) >= 0
      return isDropped ? -1 : undefined
    }
    const input = inputs.indexOf(run)
    if (input < 0) return undefined
    const at = indexOf(relocations, input, offset)
    // What no relocation names was found overwritten by the merge.
    if (at < 0 || outputOffset[at] === RELOCATION_DROPPED) return -1
    const to = target.at(outputOffset[at]!)
    return isTombstonePlace(place) ? tombstonePlace(to) : to
  }
  for (let next = 0; ; ) {
    next = collisions.relocateDisplaced(next, SLICE_COLLISIONS, newPlace)
    if (next < 0) break
    await clock.nextTurn()
  }
  collisions.relocateKnown(newPlace)
}

/** The relocation of the record at an offset of an input, or -1. They come oldest input first, in file order. */
function indexOf(relocations: Relocations, input: number, offset: number): number {
  let low = 0
  let high = relocations.count
  while (low < high) {
    const middle = (low + high) >>> 1
    const isBefore =
      relocations.input[middle]! > input ||
      (relocations.input[middle] === input && relocations.inputOffset[middle]! < offset)
    if (isBefore) low = middle + 1
    else high = middle
  }
  const isFound =
    low < relocations.count && relocations.input[low] === input && relocations.inputOffset[low] === offset
  return isFound ? low : -1
}
