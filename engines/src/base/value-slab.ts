// Values that are handed out: short ones are cut from slabs, word by word, which is cheaper than a buffer and a
// native copy for each.
//
// What is handed out is the receiver's own. It keeps its slab alive, as any small Buffer keeps Node's pool.

import { copyBytes } from "./bytes.ts"

const SLAB_BYTES = 16 * 1024
/** Longer values are copied natively, into buffers of their own or of Node's pool. */
const SLAB_VALUE_BYTES_MAX = 160

export class ValueSlab {
  /** What all values are copied from. */
  readonly source: Buffer
  readonly #sourceView: DataView
  #slab = new ArrayBuffer(SLAB_BYTES)
  #view = new DataView(this.#slab)
  #used = 0

  constructor(source: Buffer) {
    this.source = source
    this.#sourceView = new DataView(source.buffer, source.byteOffset, source.length)
  }

  /** A copy of `[start, end)` of the source. */
  copy(start: number, end: number): Uint8Array {
    const bytes = end - start
    if (bytes > SLAB_VALUE_BYTES_MAX) return copyBytes(this.source, start, end)
    if (this.#used + bytes > SLAB_BYTES) {
      this.#slab = new ArrayBuffer(SLAB_BYTES)
      this.#view = new DataView(this.#slab)
      this.#used = 0
    }
    const source = this.#sourceView
    const target = this.#view
    let at = this.#used
    const value = new Uint8Array(this.#slab, at, bytes)
    this.#used = (at + bytes + 7) & ~7
    let from = start
    for (; from + 4 <= end; from += 4, at += 4) target.setUint32(at, source.getUint32(from, true), true)
    for (; from < end; from++, at++) target.setUint8(at, source.getUint8(from))
    return value
  }
}
