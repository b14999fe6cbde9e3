// Runs in the repository, to be read where they are: by offline tools, and by a partition whose own copy is still on
// its way.

import { eachAtOnce } from "../base/each-at-once.ts"
import type { Clock } from "../io/clock.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Seams } from "../io/seams.ts"
import type { Arrival } from "../runs/arrival.ts"
import { ReadLane } from "../runs/read-lane.ts"
import type { RunFigures } from "../runs/run.ts"
import { RunFile } from "../runs/run-file.ts"
import { ArrivingRun } from "./arriving-run.ts"
import type { ChunkCacheStatistics } from "./chunk-cache.ts"
import { ChunkReader } from "./chunk-reader.ts"
import type { StoredRun } from "./manifest.ts"
import { readRange, readRecipe } from "./read-recipe.ts"
import { PACKS_PREFIX, packKey } from "./repository-keys.ts"
import { RunChunks } from "./run-chunks.ts"
import { StoredRunFile } from "./stored-run-file.ts"

/** Recipes, and last bytes of packs, that are read at the same time. */
const REQUESTS_AT_ONCE = 16
/** Slices of runs on their way that are fetched at the same time; each has several requests under way. */
const FILLS_AT_ONCE = 1
/** More packs than this are looked up in one listing of all of them. */
const PACKS_ASKED_MAX = 64

/** One for a repository. It needs no closing. All methods reject with EngineError `REPOSITORY_FAILED`. */
export class StoredRuns {
  readonly #objectStore: ObjectStore
  readonly #clock: Pick<Clock, "nextTurn">
  readonly #reader: ChunkReader
  readonly #fillLane = new ReadLane(FILLS_AT_ONCE)

  /** @param cacheBytesMax, copies: see ChunkReader. @throws EngineError `SETTING_INVALID` */
  constructor(
    objectStore: ObjectStore,
    clock: Pick<Clock, "nextTurn">,
    cacheBytesMax?: number,
    copies?: "same" | "apart",
  ) {
    this.#objectStore = objectStore
    this.#clock = clock
    this.#reader = new ChunkReader(objectStore, clock, cacheBytesMax, copies)
  }

  /** The same runs for who proves them: nothing that was read before counts, and no copy of a chunk for another. */
  forProof(): StoredRuns {
    return new StoredRuns(this.#objectStore, this.#clock, undefined, "apart")
  }

  /** Bytes of chunks that are kept in memory. */
  get cachedBytes(): number {
    return this.#reader.cachedBytes
  }

  /** Of the chunks that are kept in memory. */
  cacheStatistics(): ChunkCacheStatistics {
    return this.#reader.cacheStatistics()
  }

  /**
   * The chunks of each run: its recipe is read and checked, and every pack that it names is there and long enough.
   * What the packs hold is not looked at.
   * @throws (rejects) EngineError `DATA_LOSS` naming the object, `FORMAT_NEWER`
   */
  async find(runs: readonly StoredRun[]): Promise<RunChunks[]> {
    const found = await eachAtOnce(runs, REQUESTS_AT_ONCE, async (run) => {
      const { packs, chunks } = await readRecipe(this.#objectStore, run)
      return new RunChunks({ packs, chunks, start: 0 })
    })
    const ends = new Map<string, number>()
    for (const chunks of found) {
      for (const [pack, end] of chunks.packEnds()) ends.set(pack, Math.max(ends.get(pack) ?? 0, end))
    }
    await this.#checkPacks(ends)
    return found
  }

  /**
   * A stored run, open for reading; nothing of it is written to this disk. The caller closes it.
   * @throws (rejects) EngineError as `find`
   */
  async open(run: StoredRun): Promise<RunFile> {
    const [chunks] = await this.find([run])
    const file = new StoredRunFile(this.#reader, chunks!)
    return RunFile.over(file, `${this.#objectStore.url}: run ${run.id}`)
  }

  /**
   * Serves a run while it is fetched to `path`; `chunks` as `find` gave them.
   * @param seams of the partition; `warn` hears of chunks that are damaged, and of what is tried again
   * @throws (rejects) EngineError as `ArrivingRun.start`
   */
  arrive(
    run: { readonly figures: RunFigures; readonly chunks: RunChunks; readonly path: string },
    seams: Pick<Seams, "fileSystem" | "executor" | "clock">,
    warn: (message: string, error: unknown) => void,
  ): Promise<Arrival> {
    const { fileSystem, executor, clock } = seams
    const objectStore = this.#objectStore
    const { url } = objectStore
    const host = {
      fileSystem,
      executor,
      clock,
      objectStore,
      url,
      reader: this.#reader,
      lane: this.#fillLane,
      warn,
    }
    return ArrivingRun.start(host, run.figures, run.chunks, run.path)
  }

  /** @param ends by id: how long each pack is at least */
  async #checkPacks(ends: ReadonlyMap<string, number>): Promise<void> {
    const asked = ends.size <= PACKS_ASKED_MAX ? [...ends] : await this.#notListed(ends)
    await eachAtOnce(asked, REQUESTS_AT_ONCE, ([pack, end]) =>
      readRange(this.#objectStore, { pack, offset: end - 1, bytes: 1 }),
    )
  }

  /** Of these packs, those that a listing does not show to be long enough: they may have been rewritten. */
  async #notListed(ends: ReadonlyMap<string, number>): Promise<[string, number][]> {
    const objects = await this.#objectStore.list(PACKS_PREFIX)
    const lengths = new Map(objects.map(({ key, bytes }) => [key, bytes]))
    return [...ends].filter(([pack, end]) => (lengths.get(packKey(pack)) ?? 0) < end)
  }
}
