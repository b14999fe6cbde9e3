// Getting runs into the repository: what it does not hold yet of them, in packs, and a recipe for each.
//
//   cut each run (jobs) ── look chunks up ── write packs (jobs) ── remember their chunks
//
// What it has is known from a bounded index of chunks, filled from the newest packs when the first run is stored. No
// chunk of a pack that garbage collection has condemned counts as known: see condemned-packs.ts.

import { eachAtOnce } from "../base/each-at-once.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Seams } from "../io/seams.ts"
import type { RunFigures } from "../runs/run.ts"
import { CHUNK_COUNT_MAX, ChunkIndex } from "./chunk-index.ts"
import { type ChunkList, HASH_BYTES } from "./chunk-list.ts"
import type { ChunkingParameters } from "./chunker.ts"
import { CondemnedPacks } from "./condemned-packs.ts"
import { cutRun } from "./cut-run.ts"
import { loadChunkIndex } from "./load-chunk-index.ts"
import type { StoredRun } from "./manifest.ts"
import { type PlannedPack, StorePlan } from "./store-plan.ts"
import type { StoredRuns } from "./stored-runs.ts"
import { type WrittenPack, writePack } from "./write-pack.ts"

/** Runs of one call that are cut at the same time. */
const CUTS_AT_ONCE = 4
/** Chunks of a written pack that are remembered before other work gets its turn. */
const CHUNKS_A_TURN = 1024

/** A run of this partition's directory that is to be stored. */
export interface RunToStore {
  readonly figures: RunFigures
  /** Absolute path of the run's file, which stays until the call is over. */
  readonly path: string
}

/** What storing runs did. */
export interface StoreResult {
  /** In the order of the call. */
  readonly runs: StoredRun[]
  /** Bytes of the packs written: chunks, recipes and their entries. */
  readonly bytesNew: number
  /** Bytes of chunks that were there already. */
  readonly bytesReused: number
  /** Chunks of runs; recipes do not count. */
  readonly chunksNew: number
  readonly chunksReused: number
}

export interface RunStorageOptions {
  readonly chunking: ChunkingParameters
  readonly storedRuns: Pick<StoredRuns, "find">
  /** Hears of packs that cannot be believed; they only cost deduplication. */
  readonly onDamage: (key: string, error: Error) => void
}

/** One for a repository. Calls may overlap. Methods reject as those of Repository. */
export class RunStorage {
  readonly #objectStore: ObjectStore
  readonly #seams: Seams
  readonly #options: RunStorageOptions
  readonly #condemned: CondemnedPacks
  readonly #chunks = new ChunkIndex()
  /** Packs that the index knows chunks of, or knew. */
  readonly #packs = new Set<string>()
  #chunksLoaded: Promise<void> | undefined

  constructor(objectStore: ObjectStore, seams: Seams, options: RunStorageOptions) {
    this.#objectStore = objectStore
    this.#seams = seams
    this.#options = options
    this.#condemned = new CondemnedPacks(objectStore, seams.clock, options.storedRuns)
  }

  /** See `Repository.storeRuns`. */
  async store(runs: readonly RunToStore[]): Promise<StoreResult> {
    const readMs = await this.#condemned.refresh(this.#packs)
    const known = {
      get: (...chunk: Parameters<ChunkIndex["get"]>) => {
        const place = this.#chunks.get(...chunk)
        return place !== undefined && this.#condemned.isAvoided(place.pack) ? undefined : place
      },
    }
    const plan = new StorePlan(known, this.#seams)
    const lists = await this.#cut(runs)
    for (const [i, { figures, path }] of runs.entries()) await plan.addRun(figures, path, lists[i]!)
    const recipes: StoredRun["recipe"][] = []
    let bytesNew = 0
    for (const pack of plan.finish()) {
      const written = await this.#writePack(pack)
      bytesNew += written.bytes
      for (const recipe of written.recipes) recipes.push({ pack: pack.id, ...recipe })
    }
    const { bytesReused, chunksNew, chunksReused } = plan
    const stored = runs.map(({ figures }, i) => ({ ...figures, recipe: recipes[i]! }))
    this.#condemned.stored(stored, readMs)
    return { runs: stored, bytesNew, bytesReused, chunksNew, chunksReused }
  }

  /** See `Repository.endangered`. */
  async endangered(runs: readonly StoredRun[]): Promise<ReadonlySet<string>> {
    await this.#condemned.refresh(this.#packs)
    return await this.#condemned.endangered(runs)
  }

  /** The chunks of runs, which are cut while the chunk index is loaded, when it is not yet. */
  async #cut(runs: readonly RunToStore[]): Promise<ChunkList[]> {
    const parameters = this.#options.chunking
    const cut = eachAtOnce(runs, CUTS_AT_ONCE, ({ figures, path }) =>
      this.#seams.executor.run(cutRun, { path, figures, parameters }),
    )
    // Both are over before either's failure is told: the caller may then remove the runs.
    const [lists, loaded] = await Promise.allSettled([cut, this.#loadChunks()])
    if (lists.status === "rejected") throw lists.reason
    if (loaded.status === "rejected") throw loaded.reason
    return lists.value
  }

  /** Writes a pack, then remembers its chunks. */
  async #writePack(pack: PlannedPack): Promise<WrittenPack> {
    const written = await this.#seams.executor.run(writePack, { ...pack, url: this.#objectStore.url })
    this.#packs.add(pack.id)
    const { count, kinds, lengths, hashes } = pack.chunks
    let offset = 0
    for (let i = 0; i < count; i++) {
      if (i % CHUNKS_A_TURN === CHUNKS_A_TURN - 1) await this.#seams.clock.nextTurn()
      this.#chunks.add(kinds[i]!, hashes, i * HASH_BYTES, { pack: pack.id, offset, length: lengths[i]! })
      offset += lengths[i]!
    }
    return written
  }

  /** Fills the chunk index once; half of it, so that what comes up from now on pushes nothing out at once. */
  #loadChunks(): Promise<void> {
    if (this.#chunksLoaded !== undefined) return this.#chunksLoaded
    const index = this.#chunks
    const target = {
      get count() {
        return index.count
      },
      add: (...chunk: Parameters<ChunkIndex["add"]>) => {
        this.#packs.add(chunk[3].pack)
        index.add(...chunk)
      },
    }
    const loaded = loadChunkIndex(this.#objectStore, target, {
      countMax: CHUNK_COUNT_MAX / 2,
      clock: this.#seams.clock,
      onDamage: this.#options.onDamage,
    })
    this.#chunksLoaded = loaded.catch((error: unknown) => {
      this.#chunksLoaded = undefined
      throw error
    })
    return this.#chunksLoaded
  }
}
