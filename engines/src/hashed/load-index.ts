// Building the index of a state from the hash sections of its runs: 12 bytes a record, and no record is read,
// but for those whose hash the version names as shared by several keys.

import { z } from "zod"
import { EngineError } from "../base/error.ts"
import { tombstonePlace } from "../runs/address.ts"
import { CollisionTable, hashName } from "../runs/collision-table.ts"
import { HashIndex } from "../runs/hash-index.ts"
import type { OpenRun, RunSet } from "../runs/run-set.ts"

const engineStateSchema = z.object({ sharedHashes: z.array(z.string().regex(/^[0-9a-f]{12}$/)) })

export interface LoadedIndex {
  readonly index: HashIndex
  readonly collisions: CollisionTable
  /** Entries of the index that are tombstones. */
  readonly tombstoneCount: number
}

interface SharedRecord {
  readonly h1: number
  readonly h2: number
  readonly run: OpenRun
  readonly offset: number
  readonly place: number
}

/**
 * @param engineState what `engineState()` gave with these runs; null for a new state.
 * @param isListedOtherwise whether versions list other runs in the place of these: they may hold keys that these do not
 * hold any more, deleted ones, and hashes that were shared with them are named on.
 * @throws (rejects) EngineError `DATA_LOSS`
 */
export async function loadIndex(
  runs: RunSet,
  engineState: unknown,
  isListedOtherwise: boolean,
): Promise<LoadedIndex> {
  const shared = new Set(parseSharedHashes(engineState))
  const index = new HashIndex()
  const sharedRecords: SharedRecord[] = []
  let tombstoneCount = 0
  for (const run of runs.newestFirst) {
    const base = runs.addressesOf(run).at(0)
    const sharedOfRun: SharedRecord[] = []
    for await (const page of run.hashes()) {
      for (let i = 0; i < page.count; i++) {
        const h1 = page.h1[i]!
        const h2 = page.h2[i]!
        const offset = page.offset[i]!
        const isTombstone = page.tombstone[i] === 1
        const place = isTombstone ? tombstonePlace(base + offset) : base + offset
        if (shared.size > 0 && shared.has(hashName(h1, h2))) {
          sharedOfRun.push({ h1, h2, run, offset, place })
        } else if (index.insertIfAbsent(h1, h2, place) && isTombstone) {
          tombstoneCount++
        }
      }
    }
    for (const record of sharedOfRun.reverse()) sharedRecords.push(record)
  }
  const collisions = new CollisionTable(isListedOtherwise ? shared : [])
  tombstoneCount += await placeShared(sharedRecords, index, collisions)
  return { index, collisions, tombstoneCount }
}

/** Records newest first: the first of each key counts; the first key of a hash goes to the index. */
async function placeShared(
  records: readonly SharedRecord[],
  index: HashIndex,
  collisions: CollisionTable,
): Promise<number> {
  const seen = new Set<string>()
  let tombstoneCount = 0
  for (const { h1, h2, run, offset, place } of records) {
    const { bytes, cursor } = await run.read(offset)
    const key = new Uint8Array(bytes.subarray(cursor.keyStart, cursor.keyEnd))
    const name = Buffer.from(key).toString("latin1")
    if (seen.has(name)) continue
    seen.add(name)
    if (!index.insertIfAbsent(h1, h2, place)) collisions.set(key, h1, h2, place)
    else if (cursor.isTombstone) tombstoneCount++
  }
  return tombstoneCount
}

function parseSharedHashes(engineState: unknown): string[] {
  if (engineState === null) return []
  const parsed = engineStateSchema.safeParse(engineState)
  if (!parsed.success) {
    throw new EngineError(
      "DATA_LOSS",
      `the version's engine state is not readable: ${z.prettifyError(parsed.error)}`,
    )
  }
  return parsed.data.sharedHashes
}
