// Keys of some records, kept one behind the other until all are cleared: each a u16 length and its bytes.

import { copyRange, equalBytes } from "../base/bytes.ts"
import type { RecordCursor } from "../base/record.ts"

const KEY_LENGTH_BYTES = 2

export class KeyArena {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #used = 0

  /** @param bytes its room, below 4 GiB; as many as the records have are enough for all their keys */
  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  clear(): void {
    this.#used = 0
  }

  /** Keeps the key of a record and returns its place; -1 when there is no room for it. */
  add(bytes: Uint8Array, { keyStart, keyEnd }: RecordCursor): number {
    const place = this.#used
    const keyBytes = keyEnd - keyStart
    if (place + KEY_LENGTH_BYTES + keyBytes > this.#bytes.length) return -1
    this.#view.setUint16(place, keyBytes)
    copyRange(this.#bytes, place + KEY_LENGTH_BYTES, bytes, keyStart, keyEnd)
    this.#used = place + KEY_LENGTH_BYTES + keyBytes
    return place
  }

  /** Whether the key kept at `place` is the record's. */
  holds(place: number, bytes: Uint8Array, { keyStart, keyEnd }: RecordCursor): boolean {
    const keyBytes = keyEnd - keyStart
    if (this.#view.getUint16(place) !== keyBytes) return false
    return equalBytes(this.#bytes, place + KEY_LENGTH_BYTES, bytes, keyStart, keyBytes)
  }
}
