// What the hash index holds for a key: 48 bits that say where its newest record lies.
//
//   bit 47  the address belongs to a run that was merged or loaded; clear: to the log, or a run flushed from it
//   bit 46  the record is a tombstone
//   0..45   offset in that half: 64 TiB each
//
// A record keeps its address from memory to disk: a run that was flushed from the log covers the addresses that
// its bytes had there.

import { RUN_ADDRESS_BASE } from "./run-set.ts"

const TOMBSTONE = 2 ** 46

/** The address without the tombstone mark. */
export function addressOf(place: number): number {
  return isTombstonePlace(place) ? place - TOMBSTONE : place
}

/** True when the record at this place deletes its key. */
export function isTombstonePlace(place: number): boolean {
  return place >= TOMBSTONE && (place < RUN_ADDRESS_BASE || place >= RUN_ADDRESS_BASE + TOMBSTONE)
}

/** The place of a tombstone at `address`. */
export function tombstonePlace(address: number): number {
  return address + TOMBSTONE
}
