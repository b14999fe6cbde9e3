// Entries that are written and synced together. Their bytes are laid out in sectors as they come, with room for
// the sectors' headers, so that they are copied once; `seal` fills the headers in when the place is known.
//
//   │ header 24 │ payload 488 │ header 24 │ payload 488 │ …        entries run across the payloads
//
// One promise for all of them, made when somebody asks for it.

import { assert } from "../base/assert.ts"
import { copyRange } from "../base/bytes.ts"
import {
  ENTRY_HEADER_BYTES,
  SECTOR_BYTES,
  SECTOR_HEADER_BYTES,
  SECTOR_PAYLOAD_BYTES,
  sealSector,
  sectorsOf,
} from "./log-format.ts"

/** Bytes that a buffer has at first; it doubles. */
const BUFFER_BYTES = 64 * SECTOR_BYTES

export class EntryGroup {
  /** Position of the first entry. */
  readonly first: number
  entryCount = 0
  #buffer: Buffer
  #bytes = 0
  readonly #length = new Uint8Array(ENTRY_HEADER_BYTES)
  #isFrozen = false
  #outcome:
    | { readonly promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void }
    | undefined

  /** @param buffer one that an earlier group has given back, or none */
  constructor(first: number, buffer: Buffer | undefined) {
    this.first = first
    this.#buffer = buffer ?? Buffer.allocUnsafe(BUFFER_BYTES)
  }

  /** Bytes of the entries with their lengths. */
  get bytes(): number {
    return this.#bytes
  }

  get sectorCount(): number {
    return sectorsOf(this.#bytes)
  }

  /** Position behind the last entry. */
  get end(): number {
    return this.first + this.entryCount
  }

  /** Whether the group is being written and takes no more. */
  get isFrozen(): boolean {
    return this.#isFrozen
  }

  /** For another group, once this one is settled. */
  get buffer(): Buffer {
    return this.#buffer
  }

  /** Resolves when the group is synced. */
  get synced(): Promise<void> {
    if (this.#outcome === undefined) {
      let resolve = (): void => undefined
      let reject = (_: unknown): void => undefined
      const promise = new Promise<void>((done, failed) => {
        resolve = done
        reject = failed
      })
      this.#outcome = { promise, resolve, reject }
    }
    return this.#outcome.promise
  }

  /** Copies an entry in, `head` first. */
  append(entry: Uint8Array, head: Uint8Array): void {
    const bytes = head.length + entry.length
    assert(!this.#isFrozen, "a group that is being written takes no entry")
    this.#reserve(sectorsOf(this.#bytes + ENTRY_HEADER_BYTES + bytes) * SECTOR_BYTES)
    new DataView(this.#length.buffer).setUint32(0, bytes, true)
    this.#put(this.#length)
    this.#put(head)
    this.#put(entry)
    this.entryCount++
  }

  /** Takes no more entries. */
  freeze(): void {
    this.#isFrozen = true
  }

  /** The sectors of the group, for its place. May be called again, for another place. */
  seal(begin: number, seed: number): Buffer {
    assert(this.#isFrozen, "a group is written when it takes no more")
    const count = this.sectorCount
    const header = { begin, groupBytes: this.#bytes, first: this.first }
    const lastEnd = this.#bytes - (count - 1) * SECTOR_PAYLOAD_BYTES
    this.#buffer.fill(0, (count - 1) * SECTOR_BYTES + SECTOR_HEADER_BYTES + lastEnd, count * SECTOR_BYTES)
    for (let i = 0; i < count; i++) sealSector(this.#buffer, i * SECTOR_BYTES, begin + i, header, seed)
    return this.#buffer.subarray(0, count * SECTOR_BYTES)
  }

  resolve(): void {
    this.#outcome?.resolve()
  }

  reject(error: unknown): void {
    this.#outcome?.reject(error)
  }

  #put(source: Uint8Array): void {
    let at = 0
    while (at < source.length) {
      const sector = Math.floor(this.#bytes / SECTOR_PAYLOAD_BYTES)
      const inSector = this.#bytes - sector * SECTOR_PAYLOAD_BYTES
      const end = Math.min(source.length, at + SECTOR_PAYLOAD_BYTES - inSector)
      copyRange(this.#buffer, sector * SECTOR_BYTES + SECTOR_HEADER_BYTES + inSector, source, at, end)
      this.#bytes += end - at
      at = end
    }
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(bytes, 2 * this.#buffer.length))
    this.#buffer.copy(grown)
    this.#buffer = grown
  }
}
