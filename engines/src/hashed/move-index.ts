// After a merge: every place that pointed into an input points into the output. In slices, because a merge may
// move millions of records and writers must not wait for it.
//
//   index      each moved record that it still points to; what is displaced meanwhile may keep an old place
//   displaced  compared, while the inputs can still be read: none of them has an old place afterwards
//   known      the few that are left, found by one more reading, if there are any at all

import { assert } from "../base/assert.ts"
import type { Clock } from "../io/clock.ts"
import { addressOf, isTombstonePlace, tombstonePlace } from "../runs/address.ts"
import type { CollisionTable } from "../runs/collision-table.ts"
import type { HashIndex } from "../runs/hash-index.ts"
import { MOVED_RECORDS_MAX, movedRecords, RELOCATION_DROPPED, type Relocations } from "../runs/relocations.ts"
import type { OpenRun, RunSet } from "../runs/run-set.ts"

export interface MovedParts {
  readonly index: HashIndex
  readonly collisions: CollisionTable
  readonly runs: RunSet
  readonly clock: Clock
  /** Resolves when everything that is displaced now has been compared. */
  readonly settled: () => Promise<void>
  /** Called for each tombstone that leaves the index. */
  readonly tombstoneLeft: () => void
}

/** Moves what still points to the inputs; what was overwritten meanwhile stays as it is. */
export async function moveIndex(
  { index, collisions, runs, clock, settled, tombstoneLeft }: MovedParts,
  inputs: readonly OpenRun[],
  output: OpenRun,
  relocations: Relocations,
): Promise<void> {
  const addresses = sourceAddresses(runs, inputs, output, relocations)
  const target = runs.addressesOf(output)
  const places = new Float64Array(MOVED_RECORDS_MAX)
  // A page, which takes about 0.3 ms, in each turn of the event loop.
  for await (const moved of movedRecords(inputs, output, relocations)) {
    const { count, input, h1, h2, tombstone, inputOffset, outputOffset } = moved
    // Fetches the buckets of the page, so that the processor waits for all of them at once.
    index.getBatch(h1, h2, places, count)
    for (let i = 0; i < count; i++) {
      const address = addresses[input]!(inputOffset[i]!)
      const from = tombstone[i] === 0 ? address : tombstonePlace(address)
      // Overwritten meanwhile.
      if (places[i] !== from) continue
      if (outputOffset[i] === RELOCATION_DROPPED) {
        if (index.remove(h1[i]!, h2[i]!, from)) tombstoneLeft()
        continue
      }
      const to = target.at(outputOffset[i]!)
      index.replace(h1[i]!, h2[i]!, from, tombstone[i] === 0 ? to : tombstonePlace(to))
    }
    await clock.nextTurn()
  }
  await settled()
  if (collisions.knownCount > 0) await moveKnown({ collisions, runs }, inputs, output, relocations)
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
 * Keys that share their hash with another: a few, or none. Whose key becomes known from now on is not in an input: the
 * index, where its place comes from, was moved before.
 */
async function moveKnown(
  { collisions, runs }: Pick<MovedParts, "collisions" | "runs">,
  inputs: readonly OpenRun[],
  output: OpenRun,
  relocations: Relocations,
): Promise<void> {
  const addresses = sourceAddresses(runs, inputs, output, relocations)
  const target = runs.addressesOf(output)
  const wanted = new Set(collisions.places().map(addressOf))
  /** By address: where the record went, RELOCATION_DROPPED for a tombstone that is gone. */
  const found = new Map<number, number>()
  for await (const { count, input, inputOffset, outputOffset } of movedRecords(inputs, output, relocations)) {
    for (let i = 0; i < count; i++) {
      const address = addresses[input]!(inputOffset[i]!)
      if (wanted.has(address)) found.set(address, outputOffset[i]!)
    }
  }
  collisions.relocateKnown((place) => {
    const address = addressOf(place)
    const outputOffset = found.get(address)
    if (outputOffset === undefined) {
      const run = runs.runAt(address)
      if (run === undefined || !inputs.includes(run)) return undefined
      // What was not moved was found overwritten by the merge.
      assert(wanted.has(address), "no key becomes known in a run that was merged")
      return RELOCATION_DROPPED
    }
    if (outputOffset === RELOCATION_DROPPED) return RELOCATION_DROPPED
    const to = target.at(outputOffset)
    return isTombstonePlace(place) ? tombstonePlace(to) : to
  })
}
