// Getting runs into the repository: what it does not hold yet of them, in packs, and a recipe for each.
//
//   cut each run (jobs) ── look chunks up ── write packs (jobs) ── remember their chunks
//
// What it has is known from a bounded index of chunks: see known-chunks.ts. Without deduplication nothing is looked up
// and no index is kept: every run is stored whole, each time.
//
// A merged run takes the same way, but in small packs, each of which waits for the budget: see upload-budget.ts.

import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError } from "../base/error.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Seams } from "../io/seams.ts"
import type { RunFigures } from "../runs/run.ts"
import type { ChunkList } from "./chunk-list.ts"
import type { ChunkingParameters } from "./chunker.ts"
import type { EndangeredRuns } from "./condemned-packs.ts"
import { cutMergedRun, cutRun } from "./cut-run.ts"
import { KnownChunks } from "./known-chunks.ts"
import type { StoredRun } from "./manifest.ts"
import { type PlannedPack, StorePlan } from "./store-plan.ts"
import type { StoredRuns } from "./stored-runs.ts"
import type { UploadBudget } from "./upload-budget.ts"
import { type WrittenPack, writePack } from "./write-pack.ts"

/** Runs of one call that are cut at the same time. */
const CUTS_AT_ONCE = 4

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
  /** How long it took to find out what is new, and to write it, in milliseconds. */
  readonly chunkMs: number
  readonly uploadMs: number
}

/** How a merged run goes up, which nobody waits for. */
export interface MergeUpload {
  /** Ends it: no further pack is written, and the call rejects with `ENGINE_CLOSED`. */
  readonly stop: AbortSignal
  /** Aborted: the budget does not count any more. Aborted with `stop`, too, or that waits for the budget. */
  readonly hurry: AbortSignal
  /** Hears of each pack that was written. */
  readonly onStored: (bytes: number) => void
}

export interface RunStorageOptions {
  readonly chunking: ChunkingParameters
  readonly deduplication: boolean
  /** Of merged runs. */
  readonly budget: UploadBudget
  /** Of the chunks that are remembered. */
  readonly chunkCountMax?: number
  readonly storedRuns: Pick<StoredRuns, "find">
  /** Hears of packs that cannot be believed; they only cost deduplication. */
  readonly onDamage: (key: string, error: Error) => void
}

/** One for a repository. Calls may overlap. Methods reject as those of Repository. */
export class RunStorage {
  readonly #objectStore: ObjectStore
  readonly #seams: Seams
  readonly #options: RunStorageOptions
  readonly #known: KnownChunks

  constructor(objectStore: ObjectStore, seams: Seams, options: RunStorageOptions) {
    this.#objectStore = objectStore
    this.#seams = seams
    this.#options = options
    const { storedRuns, chunkCountMax, onDamage } = options
    this.#known = new KnownChunks(objectStore, {
      clock: seams.clock,
      storedRuns,
      onDamage,
      ...(chunkCountMax !== undefined && { countMax: chunkCountMax }),
    })
  }

  /** See `Repository.storeRuns`. */
  async store(runs: readonly RunToStore[]): Promise<StoreResult> {
    const { clock } = this.#seams
    const startedMs = clock.monotonicMs()
    const readMs = await this.#known.refresh()
    const plan = new StorePlan({ known: this.#reusable }, this.#seams)
    const lists = await this.#cut(runs)
    for (const [i, { figures, path }] of runs.entries()) await plan.addRun(figures, path, lists[i]!)
    const recipes: StoredRun["recipe"][] = []
    let bytesNew = 0
    const chunkedMs = clock.monotonicMs()
    for (const pack of plan.finish()) {
      const written = await this.#writePack(pack)
      bytesNew += written.bytes
      for (const recipe of written.recipes) recipes.push({ pack: pack.id, ...recipe })
    }
    const { bytesReused, chunksNew, chunksReused } = plan
    const stored = runs.map(({ figures }, i) => ({ ...figures, recipe: recipes[i]! }))
    this.#known.condemned.stored(stored, readMs)
    const times = { chunkMs: chunkedMs - startedMs, uploadMs: clock.monotonicMs() - chunkedMs }
    return { runs: stored, bytesNew, bytesReused, chunksNew, chunksReused, ...times }
  }

  /** See `Repository.storeMergedRun`. */
  async storeMerged({ figures, path }: RunToStore, upload: MergeUpload): Promise<StoredRun> {
    const { budget, chunking: parameters } = this.#options
    const readMs = await this.#known.refresh()
    const plan = new StorePlan({ known: this.#reusable, packBytesMax: budget.packBytesMax }, this.#seams)
    await this.#loadChunks()
    const input = { path, figures, parameters }
    await plan.addRun(figures, path, await this.#seams.executor.run(cutMergedRun, input, [], upload.stop))
    const recipes: StoredRun["recipe"][] = []
    for (const pack of plan.finish()) {
      await budget.grant(pack.bytes, upload.hurry)
      if (upload.stop.aborted)
        throw new EngineError("ENGINE_CLOSED", `the upload of ${path} was told to stop`)
      const written = await this.#writePack(pack, upload.stop)
      upload.onStored(written.bytes)
      for (const recipe of written.recipes) recipes.push({ pack: pack.id, ...recipe })
    }
    const stored = { ...figures, recipe: recipes[0]! }
    this.#known.condemned.stored([stored], readMs)
    return stored
  }

  /** See `Repository.endangered`. */
  async endangered(runs: readonly StoredRun[]): Promise<EndangeredRuns> {
    await this.#known.refresh()
    return await this.#known.condemned.endangered(runs)
  }

  /** See `Repository.distrust`. */
  distrust(packs: readonly string[]): void {
    this.#known.condemned.distrust(packs)
  }

  /** The chunks that a plan may rely on. */
  get #reusable(): Pick<KnownChunks, "get"> | undefined {
    return this.#options.deduplication ? this.#known : undefined
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
  async #writePack(pack: PlannedPack, stop?: AbortSignal): Promise<WrittenPack> {
    const input = { ...pack, url: this.#objectStore.url }
    const written = await this.#seams.executor.run(writePack, input, [], stop)
    if (this.#options.deduplication) await this.#known.remember(pack.id, pack.chunks)
    return written
  }

  async #loadChunks(): Promise<void> {
    if (this.#options.deduplication) await this.#known.load()
  }
}
