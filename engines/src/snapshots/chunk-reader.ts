// Chunks on demand: what a repository has is read piece by piece, when somebody asks, and every chunk is checked
// against its hash before a byte of it is used.
//
//   wanted chunks ── in the cache? ── under way for somebody else? ── the rest: neighbours joined to ranges
//                 ── at most REQUESTS_AT_ONCE at the object store ── each chunk hashed ── cache, readers
//
// Hashing happens on the caller's thread: a chunk of 64 KiB is hashed sooner than it is handed to another
// thread and back. The rare long one (a record of many megabytes) is hashed in slices, with other work in
// between. Who wants a whole run takes `fill-run.ts`, which works in another thread.
//
// A failure belongs to the chunk: others of the same range are right. It is not remembered: the next reader asks
// again.

import { createHash } from "node:crypto"
import type { Clock } from "../io/clock.ts"
import type { ObjectStore } from "../io/object-store.ts"
import { ReadLane } from "../runs/read-lane.ts"
import { CHUNK_CACHE_BYTES_DEFAULT, ChunkCache, type ChunkCacheStatistics } from "./chunk-cache.ts"
import { readRange } from "./read-recipe.ts"
import type { ChunkRange, RunChunks } from "./run-chunks.ts"

/** Requests under way at the same time; the others wait in order. */
const REQUESTS_AT_ONCE = 16
/** Bytes of one request, unless a single chunk has more. */
const RANGE_BYTES = 1024 * 1024
/** Hashed before other work gets its turn: a third of a millisecond. */
const HASH_SLICE_BYTES = 512 * 1024

/** One for a repository; any number of readers on one thread share it. It needs no closing. */
export class ChunkReader {
  readonly #objectStore: ObjectStore
  readonly #clock: Pick<Clock, "nextTurn">
  readonly #cache: ChunkCache
  readonly #nameOf: (chunks: RunChunks, index: number) => string
  readonly #lane = new ReadLane(REQUESTS_AT_ONCE)
  /** Chunks that are being read, by name. */
  readonly #underWay = new Map<string, Promise<Uint8Array>>()

  /**
   * @param cacheBytesMax how much of what was read stays in memory
   * @param copies `same`: any copy of a chunk will do; `apart`: each is read where it is, for who proves them
   * @throws EngineError `SETTING_INVALID`
   */
  constructor(
    objectStore: ObjectStore,
    clock: Pick<Clock, "nextTurn">,
    cacheBytesMax: number = CHUNK_CACHE_BYTES_DEFAULT,
    copies: "same" | "apart" = "same",
  ) {
    this.#objectStore = objectStore
    this.#clock = clock
    this.#cache = new ChunkCache(cacheBytesMax)
    this.#nameOf = copies === "same" ? hashName : copyName
  }

  /** Bytes of chunks in memory. */
  get cachedBytes(): number {
    return this.#cache.bytes
  }

  cacheStatistics(): ChunkCacheStatistics {
    return this.#cache.statistics()
  }

  /**
   * The bytes of the chunks `wanted`, which ascend: one promise for each. They are shared with other readers: nobody
   * changes them. Each rejects with EngineError `DATA_LOSS` naming the pack and the hash, or `REPOSITORY_FAILED`.
   */
  read(chunks: RunChunks, wanted: readonly number[]): Promise<Uint8Array>[] {
    const found = wanted.map((index) => this.#find(this.#nameOf(chunks, index)))
    const missing = wanted.filter((_, i) => found[i] === undefined)
    const read = new Map<number, Promise<Uint8Array>>()
    for (const range of chunks.ranges(missing, RANGE_BYTES)) {
      for (const [i, chunk] of this.#readRange(chunks, range).entries()) read.set(range.first + i, chunk)
    }
    return wanted.map((index, i) => found[i] ?? read.get(index)!)
  }

  #find(name: string): Promise<Uint8Array> | undefined {
    const cached = this.#cache.get(name)
    return cached === undefined ? this.#underWay.get(name) : Promise.resolve(cached)
  }

  #readRange(chunks: RunChunks, range: ChunkRange): Promise<Uint8Array>[] {
    const source = this.#request(range)
    return Array.from({ length: range.count }, (_, i) => {
      const index = range.first + i
      const name = this.#nameOf(chunks, index)
      const chunk = source
        .then((bytes) => this.#checked(chunks, range, index, bytes))
        .finally(() => this.#underWay.delete(name))
      // Whoever waits for it hears of a failure; nobody may.
      chunk.catch(() => undefined)
      this.#underWay.set(name, chunk)
      return chunk
    })
  }

  async #request(range: ChunkRange): Promise<Uint8Array> {
    const turn = this.#lane.enter()
    if (turn !== undefined) await turn
    try {
      return await readRange(this.#objectStore, range)
    } finally {
      this.#lane.leave()
    }
  }

  /** Chunk `index` of the run in `source`, the bytes of its range. */
  async #checked(
    chunks: RunChunks,
    range: ChunkRange,
    index: number,
    source: Uint8Array,
  ): Promise<Uint8Array> {
    const start = chunks.start(index) - chunks.start(range.first)
    const view = source.subarray(start, start + chunks.bytesOf(index))
    const hash = createHash("sha256")
    for (let at = 0; at < view.length; at += HASH_SLICE_BYTES) {
      if (at > 0) await this.#clock.nextTurn()
      hash.update(view.subarray(at, at + HASH_SLICE_BYTES))
    }
    if (Buffer.compare(hash.digest(), chunks.hashOf(index)) !== 0) throw chunks.damage(index)
    // One that is kept does not keep the whole range.
    const chunk = range.count === 1 ? source : view.slice()
    this.#cache.add(this.#nameOf(chunks, index), chunk)
    return chunk
  }
}

function hashName(chunks: RunChunks, index: number): string {
  const { buffer, byteOffset, length } = chunks.hashOf(index)
  return Buffer.from(buffer, byteOffset, length).toString("latin1")
}

/** Of one copy of a chunk. */
function copyName(chunks: RunChunks, index: number): string {
  return `${chunks.packOf(index)} ${chunks.offsetOf(index)} ${hashName(chunks, index)}`
}
