// Scanning by the index, in the order of hashes: a key that is there from the first page to the last is met
// exactly once, however much is written and however far the index grows meanwhile.

import { selects } from "../base/key-selection.ts"
import type { KeyValue, ScanOptions } from "../engine.ts"
import { addressOf, isTombstonePlace } from "../runs/address.ts"
import type { CollisionTable } from "../runs/collision-table.ts"
import type { HashIndex } from "../runs/hash-index.ts"
import type { ColdRecord } from "./cold-reads.ts"

/** Buckets looked at, and at most this many records held, at a time. */
const BUCKETS_AT_ONCE = 64

export interface ScanParts {
  readonly read: (place: number) => ColdRecord | Promise<ColdRecord>
  /** Resolves when every record that is displaced now was compared: a key may be known by it alone. */
  readonly settled: () => Promise<void> | undefined
}

/** Pages of matching records; none is empty. */
export async function* scanIndex(
  index: HashIndex,
  collisions: CollisionTable,
  { read, settled }: ScanParts,
  options: ScanOptions,
): AsyncGenerator<KeyValue[]> {
  const places = new Float64Array(BUCKETS_AT_ONCE)
  let position = 0
  do {
    position = index.scanBuckets(position, places)
    const page = await readPage(places.subarray(0, index.scanned), read, options)
    if (page.length > 0) yield page
  } while (position !== -1)
  await settled()
  const page = await readPage(collisions.places(), read, options)
  if (page.length > 0) yield page
}

async function readPage(
  places: Iterable<number>,
  read: (place: number) => ColdRecord | Promise<ColdRecord>,
  options: ScanOptions,
): Promise<KeyValue[]> {
  const records: (ColdRecord | Promise<ColdRecord>)[] = []
  for (const place of places) if (!isTombstonePlace(place)) records.push(read(addressOf(place)))
  const page: KeyValue[] = []
  for (const { key, value } of await Promise.all(records)) {
    if (selects(options, key)) page.push({ key, value: options.keysOnly === true ? EMPTY : value })
  }
  return page
}

const EMPTY = new Uint8Array(0)
