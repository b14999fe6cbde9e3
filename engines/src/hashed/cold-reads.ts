// Records that are on disk only, or in the cache of blocks that were read. What the cache has is answered at once.

import { copyBytes, equalBytes } from "../base/bytes.ts"
import { EngineError } from "../base/error.ts"
import { RecordCursor } from "../base/record.ts"
import { ValueSlab } from "../base/value-slab.ts"
import { addressOf } from "../runs/address.ts"
import type { RunPlace, RunSet } from "../runs/run-set.ts"

/** A record with bytes of its own. An empty value is a tombstone. */
export interface ColdRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

type Value = Uint8Array | undefined

export class ColdReads {
  readonly #runs: RunSet
  readonly #cursor = new RecordCursor()
  /** Over the cache, which is one for all runs of the set. */
  #values: ValueSlab | undefined
  /** Records that were asked of the disk. */
  count = 0

  constructor(runs: RunSet) {
    this.#runs = runs
  }

  /** The record at an address that is in no memory. Located now; read while others go on, unless it is cached. */
  read(address: number): ColdRecord | Promise<ColdRecord> {
    const place = this.#locate(address)
    const cursor = this.#cursor
    const bytes = place.run.cachedRecord(place.offset, cursor)
    if (bytes === undefined) return this.#readAt(place)
    return {
      key: copyBytes(bytes, cursor.keyStart, cursor.keyEnd),
      value: copyBytes(bytes, cursor.valueStart, cursor.end),
    }
  }

  /** As `read`, the key alone. */
  readKey(address: number): Uint8Array | Promise<Uint8Array> {
    const run = this.#runs.runAt(address) ?? noRunHolds(address)
    const { offset } = this.#runs
    const cursor = this.#cursor
    const bytes = run.cachedRecord(offset, cursor)
    if (bytes !== undefined) return copyBytes(bytes, cursor.keyStart, cursor.keyEnd)
    this.count++
    return run.withRecord(offset, copyKey)
  }

  /**
   * The value of the record at `place` if it has this key; undefined when it has not, or it is a tombstone. The key
   * is the caller's again when the call returns.
   */
  valueWithKey(place: number, key: Uint8Array): Value | Promise<Value> {
    const address = addressOf(place)
    const run = this.#runs.runAt(address) ?? noRunHolds(address)
    const cursor = this.#cursor
    const bytes = run.cachedRecord(this.#runs.offset, cursor)
    if (bytes === undefined) {
      this.count++
      const own = new Uint8Array(key)
      return run.withRecord(this.#runs.offset, (found, at) =>
        hasKey(found, at, own) ? copyValue(found, at) : undefined,
      )
    }
    const { keyStart, keyEnd, valueStart, end } = cursor
    if (keyEnd - keyStart !== key.length || !equalBytes(bytes, keyStart, key, 0, key.length)) return undefined
    return valueStart === end ? undefined : this.#copyValue(run.cachedBytes, bytes, valueStart, end)
  }

  /**
   * The value of the first of the records at `places` that has this key; undefined when none has, or it is a
   * tombstone. All are located, and held, now; the key is the caller's again when the call returns.
   */
  async firstWithKey(places: readonly number[], key: Uint8Array): Promise<Value> {
    const own = new Uint8Array(key)
    const found = places.map((place) => this.#locate(addressOf(place)))
    for (const { run } of found) run.retain()
    try {
      for (const place of found) {
        const record = await this.#readAt(place)
        if (record.key.length === own.length && equalBytes(record.key, 0, own, 0, own.length)) {
          return record.value.length === 0 ? undefined : record.value
        }
      }
      return undefined
    } finally {
      for (const { run } of found) run.release()
    }
  }

  #readAt({ run, offset }: RunPlace): Promise<ColdRecord> {
    this.count++
    return run.withRecord(offset, copyRecord)
  }

  /** Nearly all values lie in the cache, where one slab cuts them from. */
  #copyValue(cache: Buffer, bytes: Buffer, start: number, end: number): Uint8Array {
    if (bytes !== cache) return copyBytes(bytes, start, end)
    if (this.#values?.source !== cache) this.#values = new ValueSlab(cache)
    return this.#values.copy(start, end)
  }

  #locate(address: number): RunPlace {
    return this.#runs.byAddress(address) ?? noRunHolds(address)
  }
}

function hasKey(bytes: Buffer, { keyStart, keyEnd }: RecordCursor, key: Uint8Array): boolean {
  return keyEnd - keyStart === key.length && equalBytes(bytes, keyStart, key, 0, key.length)
}

function copyKey(bytes: Buffer, { keyStart, keyEnd }: RecordCursor): Uint8Array {
  return copyBytes(bytes, keyStart, keyEnd)
}

/** Undefined for a tombstone. */
function copyValue(bytes: Buffer, { valueStart, end }: RecordCursor): Value {
  return valueStart === end ? undefined : copyBytes(bytes, valueStart, end)
}

function copyRecord(bytes: Buffer, { keyStart, keyEnd, valueStart, end }: RecordCursor): ColdRecord {
  return { key: copyBytes(bytes, keyStart, keyEnd), value: copyBytes(bytes, valueStart, end) }
}

/** A place in the index that no run covers is a bug of this process, but the caller's question is for data. */
function noRunHolds(address: number): never {
  throw new EngineError("DATA_LOSS", `no run holds address ${address}`)
}
