// Chunks that were read and checked, kept in memory under their hashes: those used last, within a budget. A chunk
// that several runs or versions share is here once. Chunks have 4 to 64 KiB, so look-ups are few and a Map serves.

import { EngineError } from "../base/error.ts"

/** What a repository keeps that is told nothing else. */
export const CHUNK_CACHE_BYTES_DEFAULT = 16 * 1024 * 1024

export class ChunkCache {
  readonly #bytesMax: number
  /** By hash; the one used last is the last. */
  readonly #chunks = new Map<string, Uint8Array>()
  #bytes = 0

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

  /** Shared with others: nobody changes it. */
  get(hash: string): Uint8Array | undefined {
    const chunk = this.#chunks.get(hash)
    if (chunk === undefined) return undefined
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
