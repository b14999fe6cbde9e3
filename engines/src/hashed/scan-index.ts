// Scanning by the index, in the order of hashes: a key that is there from the first page to the last is met
// exactly once, however much is written and however far the index grows meanwhile.
//
// Records of some buckets are read together. Values for which their page has no room are let go, and read again by their
// keys, one by one: a page of sixty large values would be two hundred megabytes.

import { selects } from "../base/key-selection.ts"
import { NOT_READ, ReadBudget } from "../base/read-budget.ts"
import type { KeyValue, ScanOptions } from "../engine.ts"
import { addressOf, isTombstonePlace } from "../runs/address.ts"
import type { CollisionTable } from "../runs/collision-table.ts"
import type { HashIndex } from "../runs/hash-index.ts"
import type { ColdRecord } from "./cold-reads.ts"

/** Buckets looked at, and at most this many records held, at a time. */
const BUCKETS_AT_ONCE = 64
/** Values of one page; the last one may pass it. */
const PAGE_BYTES = 256 * 1024

export interface ScanParts {
  readonly read: (place: number) => ColdRecord | Promise<ColdRecord>
  /** Resolves when every record that is displaced now was compared: a key may be known by it alone. */
  readonly settled: () => Promise<void> | undefined
  /** The key's value as it is now. */
  readonly get: (key: Uint8Array) => Value | Promise<Value>
}

type Value = Uint8Array | undefined

/** Pages of matching records; none is empty. */
export async function* scanIndex(
  index: HashIndex,
  collisions: CollisionTable,
  { read, settled, get }: ScanParts,
  options: ScanOptions,
): AsyncGenerator<KeyValue[]> {
  const places = new Float64Array(BUCKETS_AT_ONCE)
  let position = 0
  do {
    position = index.scanBuckets(position, places)
    yield* pagesOf(places.subarray(0, index.scanned), read, get, options)
  } while (position !== -1)
  await settled()
  yield* pagesOf(collisions.places(), read, get, options)
}

async function* pagesOf(
  places: Iterable<number>,
  read: ScanParts["read"],
  get: ScanParts["get"],
  options: ScanOptions,
): AsyncGenerator<KeyValue[]> {
  const budget = new ReadBudget(PAGE_BYTES)
  const records: (ColdRecord | Promise<ColdRecord>)[] = []
  for (const place of places) {
    if (isTombstonePlace(place)) continue
    const record = read(addressOf(place))
    records.push(
      record instanceof Promise
        ? record.then((late) => within(budget, late, options))
        : within(budget, record, options),
    )
  }
  const page: KeyValue[] = []
  const left: Uint8Array[] = []
  for (const { key, value } of await Promise.all(records)) {
    if (!selects(options, key)) continue
    if (value === NOT_READ) left.push(key)
    else page.push({ key, value })
  }
  if (page.length > 0) yield page
  for (const key of left) {
    const value = await get(key)
    if (value !== undefined) yield [{ key, value }]
  }
}

/** The record without its value where that is not asked for, or has no room. */
function within(budget: ReadBudget, { key, value }: ColdRecord, options: ScanOptions): ColdRecord {
  if (options.keysOnly === true) return { key, value: EMPTY }
  const kept = budget.keep(value)
  // The key may be a view of all of the record.
  return kept === NOT_READ ? { key: new Uint8Array(key), value: kept } : { key, value }
}

const EMPTY = new Uint8Array(0)
