// Records copied side by side, in their own encoding, until a page is full: what readers of versions hand out.

import { type KeySelection, selects } from "../base/key-selection.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"

/** Bytes of a page, unless one record is longer. */
const PAGE_BYTES = 256 * 1024

/** Whole records, one behind the other, as `Engine.writeEncoded` takes them. The caller owns the bytes. */
export interface RecordPage {
  readonly bytes: Uint8Array
  readonly recordCount: number
}

export class PageBuilder {
  #buffer: Buffer
  #end = 0
  #recordCount = 0

  constructor() {
    this.#buffer = Buffer.allocUnsafeSlow(PAGE_BYTES)
  }

  /** Whether a record of this length has to wait until the page is taken. */
  isFullFor(recordBytes: number): boolean {
    return this.#end > 0 && this.#end + recordBytes > this.#buffer.length
  }

  /** Copies a record. */
  add(source: Uint8Array, { start, end }: RecordCursor): void {
    const bytes = end - start
    if (this.#end + bytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(bytes)
    this.#buffer.set(source.subarray(start, end), this.#end)
    this.#end += bytes
    this.#recordCount++
  }

  get isEmpty(): boolean {
    return this.#recordCount === 0
  }

  /** The page; the next one begins. */
  take(): RecordPage {
    const page = { bytes: this.#buffer.subarray(0, this.#end), recordCount: this.#recordCount }
    this.#buffer = Buffer.allocUnsafeSlow(PAGE_BYTES)
    this.#end = 0
    this.#recordCount = 0
    return page
  }
}

/** Whether the record's key belongs to the selection; nothing is allocated when that is all keys. */
export function selectsRecord(selection: KeySelection, source: Uint8Array, cursor: RecordCursor): boolean {
  const { prefix, start, end } = selection
  if (prefix === undefined && start === undefined && end === undefined) return true
  return selects(selection, source.subarray(cursor.keyStart, cursor.keyEnd))
}

/** The records of a page as views into it. */
export function recordsOf({ bytes }: RecordPage): { readonly key: Uint8Array; readonly value: Uint8Array }[] {
  const records: { key: Uint8Array; value: Uint8Array }[] = []
  const cursor = new RecordCursor()
  for (let at = 0; decodeRecord(bytes, at, bytes.length, cursor); at = cursor.end) {
    const { keyStart, keyEnd, valueStart, end } = cursor
    records.push({ key: bytes.subarray(keyStart, keyEnd), value: bytes.subarray(valueStart, end) })
  }
  return records
}
