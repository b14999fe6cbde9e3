// Where records went in a merge, told by one bit for each record of the inputs: the output lists the live ones in the
// order of the inputs, oldest first, so that reading the hash sections of both side by side tells each one's new place.
//
//   inputs, oldest first   a b c │ a d │ b e          hash sections, 12 bytes a record, read page by page
//   live                   0 0 1 │ 1 1 │ 1 1
//   output                 c a d b e                  the next entry for each bit that is set
//
// Spelt out, the places of ten million records would be 250 MB, in the thread that merges and in the one that moves its
// references. Tombstones that the merge has dropped have their bit set and no entry in the output.

import { assert } from "../base/assert.ts"
import type { HashPage } from "./hash-page.ts"

export const RELOCATION_DROPPED = -1

/** Records of one page. */
export const MOVED_RECORDS_MAX = 1024

export interface Relocations {
  /** For each input a bit for each record that it lists, in file order, lowest first. */
  readonly live: readonly Uint8Array[]
  /** For each input that has kept its layout the offset of its first byte in the output; -1 for the others. */
  readonly keptOffsets: readonly number[]
  readonly dropsTombstones: boolean
}

/** Index `i` of each array, `i` in `[0, count)`, is one record that was live among the inputs. */
export class MovedRecords {
  count = 0
  /** Position of their run in the inputs. */
  input = 0
  readonly h1 = new Uint32Array(MOVED_RECORDS_MAX)
  readonly h2 = new Uint16Array(MOVED_RECORDS_MAX)
  /** 1 for a tombstone, else 0. */
  readonly tombstone = new Uint8Array(MOVED_RECORDS_MAX)
  readonly inputOffset = new Float64Array(MOVED_RECORDS_MAX)
  /** Offset in the output, or RELOCATION_DROPPED for a tombstone that is gone. */
  readonly outputOffset = new Float64Array(MOVED_RECORDS_MAX)
}

/** What is read of a run. */
export interface ListedRun {
  hashes(): AsyncGenerator<HashPage, void, undefined>
}

/**
 * The live records of the inputs, oldest input first, in file order; of inputs that have kept their layout only the
 * tombstones that were dropped. A page is valid until the next one is asked for.
 * @param inputs newest first
 * @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED`
 */
export async function* movedRecords(
  inputs: readonly ListedRun[],
  output: ListedRun,
  { live, keptOffsets, dropsTombstones }: Relocations,
): AsyncGenerator<MovedRecords, void, undefined> {
  const moved = new MovedRecords()
  const entries = output.hashes()
  let listed: HashPage | undefined
  let next = 0
  try {
    for (let input = inputs.length - 1; input >= 0; input--) {
      const bits = live[input]!
      const isKept = keptOffsets[input]! >= 0
      moved.input = input
      moved.count = 0
      for await (const page of inputs[input]!.hashes()) {
        for (let i = 0; i < page.count; i++) {
          const index = page.first + i
          if ((bits[index >>> 3]! & (1 << (index & 7))) === 0) continue
          const isDropped = dropsTombstones && page.tombstone[i] === 1
          if (!isDropped) {
            if (listed === undefined || next === listed.count) {
              const { value } = await entries.next()
              assert(value !== undefined, "the output lists all that is live")
              listed = value
              next = 0
            }
            assert(
              listed.h1[next] === page.h1[i] && listed.h2[next] === page.h2[i],
              "the output lists what is live in the order of the inputs",
            )
            next++
            if (isKept) continue
          }
          const at = moved.count++
          moved.h1[at] = page.h1[i]!
          moved.h2[at] = page.h2[i]!
          moved.tombstone[at] = page.tombstone[i]!
          moved.inputOffset[at] = page.offset[i]!
          moved.outputOffset[at] = isDropped ? RELOCATION_DROPPED : listed!.offset[next - 1]!
          if (moved.count < MOVED_RECORDS_MAX) continue
          yield moved
          moved.count = 0
        }
      }
      if (moved.count > 0) yield moved
    }
  } finally {
    await entries.return()
  }
}
