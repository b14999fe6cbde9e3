// What whoever stores knows of the chunks that the repository has: a bounded index of them, filled from the newest packs
// when it is first needed, and never a chunk of a pack that garbage collection has condemned, or that turned out to be
// damaged (condemned-packs.ts).

import type { Clock } from "../io/clock.ts"
import type { ObjectStore } from "../io/object-store.ts"
import { CHUNK_COUNT_MAX, ChunkIndex, type ChunkPlace } from "./chunk-index.ts"
import { type ChunkList, HASH_BYTES } from "./chunk-list.ts"
import { CondemnedPacks } from "./condemned-packs.ts"
import { loadChunkIndex } from "./load-chunk-index.ts"
import type { PackFolder } from "./region-kind.ts"
import type { StoredRuns } from "./stored-runs.ts"

/** Chunks of a written pack that are remembered before other work gets its turn. */
const CHUNKS_A_TURN = 1024

export interface KnownChunksOptions {
  readonly clock: Clock
  readonly storedRuns: Pick<StoredRuns, "find">
  /** Of packs that are looked through; `records` unless told otherwise. */
  readonly folders?: readonly PackFolder[]
  /** Of the chunks that are remembered. @default CHUNK_COUNT_MAX */
  readonly countMax?: number
  /** Hears of packs that cannot be believed; they only cost deduplication. */
  readonly onDamage: (key: string, error: Error) => void
}

/** One for whoever stores in a repository. Methods reject with EngineError `REPOSITORY_FAILED`. */
export class KnownChunks {
  readonly condemned: CondemnedPacks
  readonly #objectStore: ObjectStore
  readonly #options: KnownChunksOptions
  readonly #countMax: number
  readonly #index: ChunkIndex
  /** Packs that the index knows chunks of, or knew. */
  readonly #packs = new Set<string>()
  #loaded: Promise<void> | undefined

  constructor(objectStore: ObjectStore, options: KnownChunksOptions) {
    this.#objectStore = objectStore
    this.#options = options
    this.#countMax = options.countMax ?? CHUNK_COUNT_MAX
    this.#index = new ChunkIndex(this.#countMax)
    this.condemned = new CondemnedPacks(objectStore, options.clock, options.storedRuns)
  }

  /** Where the chunk is; undefined: nothing is known that may be relied on. */
  get(...chunk: Parameters<ChunkIndex["get"]>): ChunkPlace | undefined {
    const place = this.#index.get(...chunk)
    return place !== undefined && this.condemned.isAvoided(place.pack) ? undefined : place
  }

  /** Learns what is condemned, when that is due. @returns the time of the reading, for `condemned.stored` */
  refresh(): Promise<number> {
    return this.condemned.refresh(this.#packs)
  }

  /** Fills the index once; half of it, so that what comes up from now on pushes nothing out at once. */
  load(): Promise<void> {
    if (this.#loaded !== undefined) return this.#loaded
    const { clock, onDamage, folders } = this.#options
    const index = this.#index
    const target = {
      get count() {
        return index.count
      },
      add: (...chunk: Parameters<ChunkIndex["add"]>) => {
        const [kind, hashes, at, { pack }] = chunk
        this.#packs.add(pack)
        // A chunk that was stored again, since its pack could not be relied on, is where it was stored last.
        if (index.get(kind, hashes, at) === undefined) index.add(...chunk)
      },
    }
    const options = { countMax: this.#countMax / 2, clock, onDamage, ...(folders && { folders }) }
    const loaded = loadChunkIndex(this.#objectStore, target, options)
    this.#loaded = loaded.catch((error: unknown) => {
      this.#loaded = undefined
      throw error
    })
    return this.#loaded
  }

  /** A pack is durable: others may rely on its chunks. */
  async remember(pack: string, { count, kinds, lengths, hashes }: ChunkList): Promise<void> {
    this.#packs.add(pack)
    let offset = 0
    for (let i = 0; i < count; i++) {
      if (i % CHUNKS_A_TURN === CHUNKS_A_TURN - 1) await this.#options.clock.nextTurn()
      this.#index.add(kinds[i]!, hashes, i * HASH_BYTES, { pack, offset, length: lengths[i]! })
      offset += lengths[i]!
    }
  }
}
