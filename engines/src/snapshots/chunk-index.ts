// Which chunks the repository holds, and where: hash and kind to pack, offset and length. Only a memory of it: a
// chunk that was forgotten is stored once more, and nothing else happens.
//
//   first byte of the hash ──► one of 256 tables ──► young generation ─┐  full: the old one is dropped,
//                                                    old generation  ◄─┘  the young one becomes the old
//
// A look-up that finds a chunk in the old generation copies it to the young one, so what is in use stays. Tables
// use open addressing with linear probing, at most 3/4 full, 60 bytes a slot; each grows by itself, the largest
// step copies 60 KB, so no call is slow. Full, the index takes 63 MB.

import { assert } from "../base/assert.ts"
import { HASH_BYTES } from "./chunk-list.ts"
import { hexOf, idBytes } from "./stored-bytes.ts"

/** Chunks remembered at most: 13 GiB of state at 18 KiB a chunk. Fills tables of 2048 slots to 3/4. */
export const CHUNK_COUNT_MAX = 786_432

/** One in each generation of each table. */
export const CHUNK_COUNT_LEAST = 512

const TABLE_COUNT = 256
const SLOTS_FIRST = 16
/** Of a slot: the hash, then the pack's id. */
const NAME_BYTES = HASH_BYTES + 16
/** Of a slot: offset, length, kind. A slot is free while its kind is zero. */
const COLUMNS = 3

/** Where a chunk lies. */
export interface ChunkPlace {
  /** 32 hex digits. */
  readonly pack: string
  readonly offset: number
  readonly length: number
}

/** Owned by one thread. */
export class ChunkIndex {
  readonly #generationCountMax: number
  readonly #young: (ChunkTable | undefined)[] = new Array(TABLE_COUNT).fill(undefined)
  readonly #old: (ChunkTable | undefined)[] = new Array(TABLE_COUNT).fill(undefined)
  #count = 0

  /** @param countMax chunks remembered at most, rounded up to a multiple of 512 */
  constructor(countMax = CHUNK_COUNT_MAX) {
    this.#generationCountMax = Math.ceil(countMax / TABLE_COUNT / 2)
  }

  /** Chunks remembered; those in both generations count twice. */
  get count(): number {
    return this.#count
  }

  /** Where the chunk with the hash `hashes[at, at + 32)` lies; undefined when that is not known. */
  get(kind: number, hashes: Uint8Array, at: number): ChunkPlace | undefined {
    const tableIndex = hashes[at]!
    const young = this.#young[tableIndex]?.get(kind, hashes, at)
    if (young !== undefined) return young
    const old = this.#old[tableIndex]?.get(kind, hashes, at)
    if (old !== undefined) this.add(kind, hashes, at, old)
    return old
  }

  /** Remembers a chunk; the newer place wins. */
  add(kind: number, hashes: Uint8Array, at: number, place: ChunkPlace): void {
    const tableIndex = hashes[at]!
    let young = this.#young[tableIndex]
    if (young !== undefined && young.count >= this.#generationCountMax) {
      this.#count -= this.#old[tableIndex]?.count ?? 0
      this.#old[tableIndex] = young
      young = undefined
    }
    if (young === undefined) {
      young = new ChunkTable()
      this.#young[tableIndex] = young
    }
    if (young.put(kind, hashes, at, place)) this.#count++
  }
}

/** One generation of one table. */
class ChunkTable {
  count = 0
  #names = new Uint8Array(SLOTS_FIRST * NAME_BYTES)
  #columns = new Uint32Array(SLOTS_FIRST * COLUMNS)
  #slotCount = SLOTS_FIRST

  get(kind: number, hashes: Uint8Array, at: number): ChunkPlace | undefined {
    const slot = this.#probe(kind, hashes, at)
    if (this.#columns[slot * COLUMNS + 2] === 0) return undefined
    const name = slot * NAME_BYTES
    return {
      pack: hexOf(this.#names, name + HASH_BYTES, name + NAME_BYTES),
      offset: this.#columns[slot * COLUMNS]!,
      length: this.#columns[slot * COLUMNS + 1]!,
    }
  }

  /** Puts the chunk in; false when it was there and only its place was changed. */
  put(kind: number, hashes: Uint8Array, at: number, place: ChunkPlace): boolean {
    if (this.count * 4 >= this.#slotCount * 3) this.#grow()
    const slot = this.#probe(kind, hashes, at)
    const isNew = this.#columns[slot * COLUMNS + 2] === 0
    for (let i = 0; i < HASH_BYTES; i++) this.#names[slot * NAME_BYTES + i] = hashes[at + i]!
    this.#names.set(idBytes(place.pack), slot * NAME_BYTES + HASH_BYTES)
    this.#columns[slot * COLUMNS] = place.offset
    this.#columns[slot * COLUMNS + 1] = place.length
    this.#columns[slot * COLUMNS + 2] = kind
    if (isNew) this.count++
    return isNew
  }

  /** The slot that holds the chunk, or the free one where it belongs. */
  #probe(kind: number, hashes: Uint8Array, at: number): number {
    const mask = this.#slotCount - 1
    // The first byte chose the table; the next two choose the slot, of 2048 at most in a full index.
    let slot = (hashes[at + 1]! | (hashes[at + 2]! << 8)) & mask
    for (;;) {
      const found = this.#columns[slot * COLUMNS + 2]!
      if (found === 0 || (found === kind && this.#hasHash(slot, hashes, at))) return slot
      slot = (slot + 1) & mask
    }
  }

  #hasHash(slot: number, hashes: Uint8Array, at: number): boolean {
    const start = slot * NAME_BYTES
    for (let i = 0; i < HASH_BYTES; i++) {
      if (this.#names[start + i] !== hashes[at + i]) return false
    }
    return true
  }

  #grow(): void {
    const names = this.#names
    const columns = this.#columns
    const slotCount = this.#slotCount
    this.#slotCount = slotCount * 2
    this.#names = new Uint8Array(this.#slotCount * NAME_BYTES)
    this.#columns = new Uint32Array(this.#slotCount * COLUMNS)
    let moved = 0
    for (let from = 0; from < slotCount; from++) {
      const kind = columns[from * COLUMNS + 2]!
      if (kind === 0) continue
      const to = this.#probe(kind, names, from * NAME_BYTES)
      this.#names.set(names.subarray(from * NAME_BYTES, (from + 1) * NAME_BYTES), to * NAME_BYTES)
      this.#columns.set(columns.subarray(from * COLUMNS, (from + 1) * COLUMNS), to * COLUMNS)
      moved++
    }
    assert(moved === this.count, "growing keeps every chunk")
  }
}
