// Chunks in order, as columns: plain data that moves between threads without copying, 41 bytes a chunk.

import { assert } from "../base/assert.ts"

/** Bytes of a SHA-256. */
export const HASH_BYTES = 32

/**
 * Bytes of a chunk at most. Chunks keep to the chunking parameters, except that one record larger than those
 * allow is a chunk of its own: the largest record has 256 MiB and a key.
 */
export const CHUNK_BYTES_MAX = 2 ** 28 + 2 ** 17

/** Chunks of one run, or of one pack. Element `i` of each column belongs to chunk `i`. */
export interface ChunkList {
  readonly count: number
  readonly kinds: Uint8Array
  readonly lengths: Uint32Array
  /** crc32 of the chunk's bytes. */
  readonly crcs: Uint32Array
  /** SHA-256 of chunk `i` at `[i * HASH_BYTES, (i + 1) * HASH_BYTES)`. */
  readonly hashes: Uint8Array
}

/** A chunk list in the making; its columns double when they are full. */
export class ChunkListBuilder {
  #count = 0
  #kinds = new Uint8Array(64)
  #lengths = new Uint32Array(64)
  #crcs = new Uint32Array(64)
  #hashes = new Uint8Array(64 * HASH_BYTES)

  get count(): number {
    return this.#count
  }

  /** Appends a chunk; `hash` has HASH_BYTES and is copied. */
  add(kind: number, length: number, crc: number, hash: Uint8Array): void {
    assert(hash.length === HASH_BYTES, "a chunk's hash is a SHA-256")
    assert(length > 0 && length <= CHUNK_BYTES_MAX, "a chunk's length is in bounds")
    if (this.#count === this.#kinds.length) this.#grow()
    this.#kinds[this.#count] = kind
    this.#lengths[this.#count] = length
    this.#crcs[this.#count] = crc
    this.#hashes.set(hash, this.#count * HASH_BYTES)
    this.#count++
  }

  /** The list; it has buffers of its own. */
  build(): ChunkList {
    return {
      count: this.#count,
      kinds: this.#kinds.slice(0, this.#count),
      lengths: this.#lengths.slice(0, this.#count),
      crcs: this.#crcs.slice(0, this.#count),
      hashes: this.#hashes.slice(0, this.#count * HASH_BYTES),
    }
  }

  #grow(): void {
    const capacity = this.#kinds.length * 2
    const kinds = new Uint8Array(capacity)
    kinds.set(this.#kinds)
    this.#kinds = kinds
    const lengths = new Uint32Array(capacity)
    lengths.set(this.#lengths)
    this.#lengths = lengths
    const crcs = new Uint32Array(capacity)
    crcs.set(this.#crcs)
    this.#crcs = crcs
    const hashes = new Uint8Array(capacity * HASH_BYTES)
    hashes.set(this.#hashes)
    this.#hashes = hashes
  }
}

/** The hash of chunk `index` as a view into `list`. */
export function chunkHash(list: Pick<ChunkList, "hashes">, index: number): Uint8Array {
  return list.hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)
}
