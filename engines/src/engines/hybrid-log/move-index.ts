// After a merge: every place that pointed into an input points into the output. In slices, because a merge may
// move millions of records and writers must not wait for it.

import type { Clock } from "../../io/clock.ts"
import { tombstonePlace } from "../../runs/address.ts"
import type { CollisionTable } from "../../runs/collision-table.ts"
import type { HashIndex } from "../../runs/hash-index.ts"
import { RELOCATION_DROPPED, type Relocations } from "../../runs/merge-runs.ts"
import type { OpenRun, RunSet } from "../../runs/run-set.ts"

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
  const bases = inputs.map((run) => runs.baseOf(run))
  const outputBase = runs.baseOf(output)
  for (let start = 0; start < count; start += SLICE_RECORDS) {
    const end = Math.min(start + SLICE_RECORDS, count)
    for (let i = start; i < end; i++) {
      const from = bases[input[i]!]! + inputOffset[i]!
      if (outputOffset[i] === RELOCATION_DROPPED) {
        if (index.remove(h1[i]!, h2[i]!, tombstonePlace(from))) tombstoneLeft()
        continue
      }
      const to = outputBase + outputOffset[i]!
      if (index.replace(h1[i]!, h2[i]!, from, to)) continue
      index.replace(h1[i]!, h2[i]!, tombstonePlace(from), tombstonePlace(to))
    }
    await clock.nextTurn()
  }
  if (!collisions.isEmpty) moveCollisions(collisions, inputs, bases, outputBase, relocations)
}

/** One turn, over all relocations: collisions are so rare that no index of them by place is kept. */
function moveCollisions(
  collisions: CollisionTable,
  inputs: readonly OpenRun[],
  bases: readonly number[],
  outputBase: number,
  { count, input, inputOffset, outputOffset }: Relocations,
): void {
  const targets = new Map<number, number>()
  for (const place of collisions.allPlaces()) targets.set(place, -1)
  for (let i = 0; i < count; i++) {
    const from = bases[input[i]!]! + inputOffset[i]!
    const isDropped = outputOffset[i] === RELOCATION_DROPPED
    const to = outputBase + outputOffset[i]!
    if (targets.has(from)) targets.set(from, to)
    if (targets.has(tombstonePlace(from))) {
      targets.set(tombstonePlace(from), isDropped ? -1 : tombstonePlace(to))
    }
  }
  collisions.relocate((place) => (isInside(place, inputs, bases) ? targets.get(place) : undefined))
}

/** A place in an input that no relocation names is of a record that the merge found overwritten. */
function isInside(place: number, inputs: readonly OpenRun[], bases: readonly number[]): boolean {
  return inputs.some(({ figures }, i) => {
    const offset = place - bases[i]!
    const tombstoneOffset = place - tombstonePlace(bases[i]!)
    return (
      (offset >= 0 && offset < figures.recordsBytes) ||
      (tombstoneOffset >= 0 && tombstoneOffset < figures.recordsBytes)
    )
  })
}
