// Records that are on disk only.

import { copyBytes, equalBytes } from "../base/bytes.ts"
import { EngineError } from "../base/error.ts"
import { addressOf } from "../runs/address.ts"
import type { RunPlace, RunSet } from "../runs/run-set.ts"

/** A record with bytes of its own. An empty value is a tombstone. */
export interface ColdRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export class ColdReads {
  readonly #runs: RunSet
  /** Records that were asked of the disk. */
  count = 0

  constructor(runs: RunSet) {
    this.#runs = runs
  }

  /** The record at an address that is in no memory. Located now; read while others go on. */
  read(address: number): Promise<ColdRecord> {
    return this.#readAt(this.#locate(address))
  }

  /**
   * The value of the first of the records at `places` that has this key; undefined when none has, or it is a
   * tombstone. All are located, and held, now.
   */
  async firstWithKey(places: readonly number[], key: Uint8Array): Promise<Uint8Array | undefined> {
    const found = places.map((place) => this.#locate(addressOf(place)))
    for (const { run } of found) run.retain()
    try {
      for (const place of found) {
        const record = await this.#readAt(place)
        if (record.key.length === key.length && equalBytes(record.key, 0, key, 0, key.length)) {
          return record.value.length === 0 ? undefined : record.value
        }
      }
      return undefined
    } finally {
      for (const { run } of found) run.release()
    }
  }

  async #readAt({ run, offset }: RunPlace): Promise<ColdRecord> {
    this.count++
    const { bytes, cursor } = await run.read(offset)
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return {
      key: copyBytes(source, cursor.keyStart, cursor.keyEnd),
      value: copyBytes(source, cursor.valueStart, cursor.end),
    }
  }

  #locate(address: number): RunPlace {
    const place = this.#runs.byAddress(address)
    // A place in the index that no run covers is a bug of this process, but the caller's question is for data.
    if (place === undefined) throw new EngineError("DATA_LOSS", `no run holds address ${address}`)
    return place
  }
}
