// Records by the places that the index gives, wherever they lie: in the memory log, or on disk.

import { addressOf, isTombstonePlace } from "../runs/address.ts"
import type { ColdReads, ColdRecord } from "./cold-reads.ts"
import type { MemoryRecords } from "./memory-records.ts"

type Value = Uint8Array | undefined

/** All records are located when a call is made; promises resolve to them whatever is written meanwhile. */
export class PlacedRecords {
  readonly #records: MemoryRecords
  readonly #cold: ColdReads

  constructor(records: MemoryRecords, cold: ColdReads) {
    this.#records = records
    this.#cold = cold
  }

  /** The record at a place: its bytes are copied, or read from disk. */
  read(place: number): ColdRecord | Promise<ColdRecord> {
    const address = addressOf(place)
    return this.#records.has(address) ? this.#records.read(address) : this.#cold.read(address)
  }

  /** A copy of the key of the record at a place, as `read`. */
  readKey(place: number): Uint8Array | Promise<Uint8Array> {
    const address = addressOf(place)
    return this.#records.has(address) ? this.#records.readKey(address) : this.#cold.readKey(address)
  }

  /** The value at a place that is known to be the key's; `undefined`: a tombstone. */
  value(place: number): Value | Promise<Value> {
    if (isTombstonePlace(place)) return undefined
    const record = this.read(place)
    return record instanceof Promise ? record.then(({ value }) => value) : record.value
  }

  /**
   * The value of a key that is not, as a value, in memory at `place`, which is what the index holds under its hash, or
   * below 0 when that is nothing. It may be at one of the `displaced` places, newest first, which are all on disk.
   */
  valueElsewhere(key: Uint8Array, place: number, displaced: readonly number[]): Value | Promise<Value> {
    if (place < 0) {
      return displaced.length === 0 ? undefined : this.#cold.firstWithKey(displaced, key)
    }
    const address = addressOf(place)
    if (this.#records.has(address)) {
      if (displaced.length === 0 || this.#records.hasKey(address, key, 0, key.length)) return undefined
      return this.#cold.firstWithKey(displaced, key)
    }
    if (displaced.length === 0) {
      return isTombstonePlace(place) ? undefined : this.#cold.valueWithKey(place, key)
    }
    return this.#cold.firstWithKey([place, ...displaced], key)
  }

  /**
   * Of these places, newest first, the value of the first record that has this key; `undefined`: none has, or it is a
   * tombstone. The key is the caller's again when the call returns.
   */
  async firstWithKey(places: readonly number[], key: Uint8Array): Promise<Value> {
    const own = new Uint8Array(key)
    const records = await Promise.all(places.map((place) => this.read(place)))
    const found = records.find((record) => Buffer.compare(record.key, own) === 0)
    return found === undefined || found.value.length === 0 ? undefined : found.value
  }
}
