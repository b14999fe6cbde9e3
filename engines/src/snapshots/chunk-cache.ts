// Chunks that were read and checked, kept in memory under their hashes: those used last, within a budget. A chunk
// that several runs or versions share is here once. Chunks have 4 to 64 KiB, so look-ups are few and a Map serves.

import { EngineError } from "../base/error.ts"

/** What a repository keeps that is told nothing else. */
export const CHUNK_CACHE_BYTES_DEFAULT = 16 * 1024 * 1024

/** How full a cache is and how well it does. */
export interface ChunkCacheStatistics {
  /** Bytes of the chunks that are held. */
  readonly bytesUsed: number
  /** Its budget. */
  readonly bytesMax: number
  /** Chunks that a read found, and those that it did not, since the cache was made. */
  readonly hitCount: number
  /** Chunks that had to be fetched. */
  readonly missCount: number
}

export class ChunkCache {
  readonly #bytesMax: number
  /** By hash; the one used last is the last. */
  readonly #chunks = new Map<string, Uint8Array>()
  #bytes = 0
  #hitCount = 0
  #missCount = 0

  /** @throws EngineError `SETTING_INVALID` */
  constructor(bytesMax: number) {
    if (!Number.isSafeInteger(bytesMax) || bytesMax < 0) {
      throw new EngineError("SETTING_INVALID", `a chunk cache of ${bytesMax} bytes; it has 0 or more`)
    }
    this.#bytesMax = bytesMax
  }

  /** Sum of the chunks' lengths; never above the budget. */
  get bytes(): number {
    return this.#bytes
  }

  statistics(): ChunkCacheStatistics {
    return {
      bytesUsed: this.#bytes,
      bytesMax: this.#bytesMax,
      hitCount: this.#hitCount,
      missCount: this.#missCount,
    }
  }

  /** Shared with others: nobody changes it. */
  get(hash: string): Uint8Array | undefined {
    const chunk = this.#chunks.get(hash)
    if (chunk === undefined) {
      this.#missCount++
      return undefined
    }
    this.#hitCount++
    this.#chunks.delete(hash)
    this.#chunks.set(hash, chunk)
    return chunk
  }

  /** Keeps a chunk whose hash was checked; one that is longer than the whole budget is not kept. */
  add(hash: string, chunk: Uint8Array): void {
    if (chunk.length > this.#bytesMax || this.#chunks.has(hash)) return
    this.#chunks.set(hash, chunk)
    this.#bytes += chunk.length
    for (const [oldest, { length }] of this.#chunks) {
      if (this.#bytes <= this.#bytesMax) break
      this.#chunks.delete(oldest)
      this.#bytes -= length
    }
  }
}
