// After a merge: every place that pointed into an input points into the output. In slices, because a merge may
// move millions of records and writers must not wait for it.

import type { Clock } from "../io/clock.ts"
import { addressOf, tombstonePlace } from "../runs/address.ts"
import type { CollisionTable } from "../runs/collision-table.ts"
import type { HashIndex } from "../runs/hash-index.ts"
import { RELOCATION_DROPPED, type Relocations } from "../runs/merge-runs.ts"
import type { OpenRun, RunSet } from "../runs/run-set.ts"

/** Records moved in one turn of the event loop: about 1 ms. */
const SLICE_RECORDS = 4096

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
  const { count, h1, h2, input, inputOffset, outputOffset } = relocations
  const addresses = sourceAddresses(runs, inputs, output, relocations)
  const target = runs.addressesOf(output)
  for (let start = 0; start < count; start += SLICE_RECORDS) {
    const end = Math.min(start + SLICE_RECORDS, count)
    for (let i = start; i < end; i++) {
      const from = addresses[input[i]!]!(inputOffset[i]!)
      if (outputOffset[i] === RELOCATION_DROPPED) {
        if (index.remove(h1[i]!, h2[i]!, tombstonePlace(from))) tombstoneLeft()
        continue
      }
      const to = target.at(outputOffset[i]!)
      if (index.replace(h1[i]!, h2[i]!, from, to)) continue
      index.replace(h1[i]!, h2[i]!, tombstonePlace(from), tombstonePlace(to))
    }
    await clock.nextTurn()
  }
  if (!collisions.isEmpty) moveCollisions(collisions, runs, inputs, output, relocations)
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

/** One turn, over all relocations: collisions are so rare that no index of them by place is kept. */
function moveCollisions(
  collisions: CollisionTable,
  runs: RunSet,
  inputs: readonly OpenRun[],
  output: OpenRun,
  relocations: Relocations,
): void {
  const { count, input, inputOffset, outputOffset } = relocations
  const addresses = sourceAddresses(runs, inputs, output, relocations)
  const target = runs.addressesOf(output)
  const places = collisions.allPlaces()
  // What no relocation names, of an input whose records move, was found overwritten by the merge.
  const targets = new Map<number, number>()
  for (const place of places) {
    const run = runs.byAddress(addressOf(place))?.run
    if (run !== undefined && inputs.includes(run)) targets.set(place, -1)
  }
  const isWatched = new Set(places)
  for (let i = 0; i < count; i++) {
    const from = addresses[input[i]!]!(inputOffset[i]!)
    const to = outputOffset[i] === RELOCATION_DROPPED ? -1 : target.at(outputOffset[i]!)
    if (isWatched.has(from)) targets.set(from, to)
    const tombstone = tombstonePlace(from)
    if (isWatched.has(tombstone)) targets.set(tombstone, to === -1 ? -1 : tombstonePlace(to))
  }
  collisions.relocate((place) => targets.get(place))
}
