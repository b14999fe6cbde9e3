// The records of a memtable that a scan is about, in the order of their keys, without holding the thread: slices are
// sorted one a turn of the event loop, then merged two by two. The memtable may take writes meanwhile: a record
// keeps its offset and its key, whatever its value becomes.

import type { KeySelection } from "../../base/key-selection.ts"
import { selects } from "../../base/key-selection.ts"
import { decodeRecord, RecordCursor, skipPadding } from "../../base/record.ts"
import type { Clock } from "../../io/clock.ts"
import type { Memtable } from "./memtable.ts"
import { compareRecords, sortRecords } from "./sort-records.ts"

/** Records sorted, or merged, in one turn of the event loop. */
const SLICE_RECORDS = 4096
/** Records looked at in one turn. */
const WALK_RECORDS = 16_384

/** Offsets of the records that are there now and selected; dead ones too, so that a key may come several times. */
export async function sortedOffsets(
  memtable: Memtable,
  selection: KeySelection,
  clock: Clock,
): Promise<Uint32Array> {
  const slices: Uint32Array[] = []
  let slice = new Uint32Array(SLICE_RECORDS)
  let count = 0
  let walked = 0
  const finishSlice = async (): Promise<void> => {
    const sorted = slice.slice(0, count)
    sortRecords(memtable.bytes, sorted)
    slices.push(sorted)
    slice = new Uint32Array(SLICE_RECORDS)
    count = 0
    await clock.nextTurn()
  }
  const { bytes, end } = memtable
  const cursor = new RecordCursor()
  for (let at = skipPadding(bytes, 0, end); at < end; ) {
    decodeRecord(bytes, at, end, cursor)
    if (selects(selection, bytes.subarray(cursor.keyStart, cursor.keyEnd))) slice[count++] = at
    at = skipPadding(bytes, cursor.end, end)
    if (count === SLICE_RECORDS) await finishSlice()
    else if (++walked % WALK_RECORDS === 0) await clock.nextTurn()
  }
  if (count > 0) await finishSlice()
  return mergeSlices(bytes, slices, clock)
}

async function mergeSlices(
  bytes: Uint8Array,
  slices: readonly Uint32Array[],
  clock: Clock,
): Promise<Uint32Array> {
  let rest = [...slices]
  while (rest.length > 1) {
    const merged: Uint32Array[] = []
    for (let i = 0; i < rest.length; i += 2) {
      const [a, b] = [rest[i]!, rest[i + 1]]
      merged.push(b === undefined ? a : await mergeTwo(bytes, a, b, clock))
    }
    rest = merged
  }
  return rest[0] ?? new Uint32Array(0)
}

async function mergeTwo(
  bytes: Uint8Array,
  a: Uint32Array,
  b: Uint32Array,
  clock: Clock,
): Promise<Uint32Array> {
  const merged = new Uint32Array(a.length + b.length)
  let atA = 0
  let atB = 0
  for (let i = 0; i < merged.length; i++) {
    const isFromA = atB === b.length || (atA < a.length && compareRecords(bytes, a[atA]!, b[atB]!) <= 0)
    merged[i] = isFromA ? a[atA++]! : b[atB++]!
    if ((i + 1) % SLICE_RECORDS === 0) await clock.nextTurn()
  }
  return merged
}
