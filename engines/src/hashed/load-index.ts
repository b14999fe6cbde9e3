// Building the index of a state from the hash sections of its runs: 12 bytes a record, and no record is read,
// but for those whose hash the version names as shared by several keys.
//
// A small state is loaded whole before it is served. Of a larger one every byte of the sections is checked, which takes
// a twentieth of the time, and it is served while the index is built behind it (index-loading.ts).

import { z } from "zod"
import { EngineError } from "../base/error.ts"
import { tombstonePlace } from "../runs/address.ts"
import { CollisionTable } from "../runs/collision-table.ts"
import { HashIndex } from "../runs/hash-index.ts"
import { HASH_PAGE_ENTRIES, type HashPage } from "../runs/hash-page.ts"
import type { OpenRun, RunSet } from "../runs/run-set.ts"
import { type FoundHash, hashNumber, searchHashes } from "../runs/search-hashes.ts"

/** States of so many records are loaded before they are served: nobody notices the wait. */
const RECORDS_AT_ONCE_MAX = 100_000

const engineStateSchema = z.object({ sharedHashes: z.array(z.string().regex(/^[0-9a-f]{12}$/)) })

export interface LoadedIndex {
  readonly index: HashIndex
  readonly collisions: CollisionTable
  /** Entries of the index that are tombstones. */
  readonly tombstoneCount: number
  /** Runs whose records are not in the index yet, newest first; those of shared hashes are. */
  readonly missing: readonly MissingRun[]
  /** Hashes that several keys share, as `hashNumber` gives them: they are not loaded with the others. */
  readonly shared: ReadonlySet<number>
}

export interface MissingRun {
  readonly run: OpenRun
  /** Address of its first byte. */
  readonly base: number
}

/**
 * @param engineState what `engineState()` gave with these runs; null for a new state.
 * @param isListedOtherwise whether versions list other runs in the place of these: they may hold keys that these do not
 * hold any more, deleted ones, and hashes that were shared with them are named on.
 * @param recordsAtOnceMax with more records, all but those of shared hashes are left to be loaded: they are `missing`
 * @throws (rejects) EngineError `DATA_LOSS`
 */
export async function loadIndex(
  runs: RunSet,
  engineState: unknown,
  isListedOtherwise: boolean,
  recordsAtOnceMax = RECORDS_AT_ONCE_MAX,
): Promise<LoadedIndex> {
  const sharedNames = parseSharedHashes(engineState)
  const shared = new Set(
    sharedNames.map((name) =>
      hashNumber(Number.parseInt(name.slice(0, 8), 16), Number.parseInt(name.slice(8), 16)),
    ),
  )
  const missing = runs.newestFirst.map((run) => ({ run, base: runs.addressesOf(run).at(0) }))
  const index = new HashIndex(expectedCount(runs))
  const collisions = new CollisionTable(isListedOtherwise ? sharedNames : [])
  const recordCount = runs.newestFirst.reduce((sum, { figures }) => sum + figures.recordCount, 0)
  const isAtOnce = recordCount <= recordsAtOnceMax
  // Besides, this checks all that is going to be read behind the first answers.
  const sharedRecords =
    isAtOnce && sharedNames.length === 0 ? [] : await searchHashes(runs.newestFirst, shared)
  let tombstoneCount = await placeShared(sharedRecords, missing, index, collisions)
  if (!isAtOnce) return { index, collisions, tombstoneCount, missing, shared }
  const loader = new PageLoader(index, shared)
  for (const { run, base } of missing) {
    for await (const page of run.hashes()) tombstoneCount += loader.load(page, base)
  }
  return { index, collisions, tombstoneCount, missing: [], shared }
}

/** Adds pages to an index: of every hash the first record counts. */
export class PageLoader {
  /** Entries of the last page, ascending, whose hash the index had already: `met` of them. */
  readonly metAt = new Uint16Array(HASH_PAGE_ENTRIES)
  met = 0
  readonly #index: HashIndex
  readonly #shared: ReadonlySet<number>
  readonly #places = new Float64Array(HASH_PAGE_ENTRIES)

  /** @param shared hashes that are left out */
  constructor(index: HashIndex, shared: ReadonlySet<number>) {
    this.#index = index
    this.#shared = shared
  }

  /** @param base address of the run's first byte. @returns how many tombstones came to the index */
  load(page: HashPage, base: number): number {
    const { count, h1, h2, offset, tombstone } = page
    const index = this.#index
    const hasShared = this.#shared.size > 0
    let tombstones = 0
    this.met = 0
    // Fetches the buckets of the page, so that the processor waits for many of them at once.
    index.getBatch(h1, h2, this.#places, count)
    for (let i = 0; i < count; i++) {
      if (hasShared && this.#shared.has(hashNumber(h1[i]!, h2[i]!))) continue
      const address = base + offset[i]!
      const isTombstone = tombstone[i] === 1
      if (!index.insertIfAbsent(h1[i]!, h2[i]!, isTombstone ? tombstonePlace(address) : address)) {
        this.metAt[this.met++] = i
      } else if (isTombstone) tombstones++
    }
    return tombstones
  }
}

/** How many keys there are at least, nearly: room for them is made at once, and for others as they come. */
function expectedCount(runs: RunSet): number {
  return runs.newestFirst.reduce(
    (most, { figures }) => Math.max(most, figures.recordCount - figures.tombstoneCount),
    0,
  )
}

/** Records newest first: the first of each key counts; the first key of a hash goes to the index. */
async function placeShared(
  records: readonly FoundHash[],
  bases: readonly MissingRun[],
  index: HashIndex,
  collisions: CollisionTable,
): Promise<number> {
  const seen = new Set<string>()
  let tombstoneCount = 0
  for (const { h1, h2, run, offset, isTombstone } of records) {
    const { bytes, cursor } = await run.read(offset)
    const key = new Uint8Array(bytes.subarray(cursor.keyStart, cursor.keyEnd))
    const name = Buffer.from(key).toString("latin1")
    if (seen.has(name)) continue
    seen.add(name)
    const address = bases.find((each) => each.run === run)!.base + offset
    const place = isTombstone ? tombstonePlace(address) : address
    if (!index.insertIfAbsent(h1, h2, place)) collisions.set(key, h1, h2, place)
    else if (isTombstone) tombstoneCount++
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
