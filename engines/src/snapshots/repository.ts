// Where versions live: packs of chunks, and a manifest for each version of each partition.
//
//   storeRuns   cut each run (job) ── look chunks up ── write packs (jobs) ── remember their chunks
//   commit      write the manifest, create-if-absent                          from here on the version exists
//   fetchRun    recipe ── ranges of packs ── verified file (job)
//
// Everything before the manifest has no meaning without it: a crash leaves packs that nobody refers to. Packs and
// manifests are written once and never changed, so any number of repositories, in any number of processes, may
// work on one object store. What two of them store at the same time may be there twice; that costs space only.
//
// Calls may overlap. One thread owns a Repository.

import { EngineError, isEngineError } from "../base/error.ts"
import type { ObjectStore, ObjectSummary } from "../io/object-store.ts"
import type { Seams } from "../io/seams.ts"
import type { RunFigures } from "../runs/run.ts"
import { CHUNK_COUNT_MAX, ChunkIndex } from "./chunk-index.ts"
import { type ChunkList, HASH_BYTES } from "./chunk-list.ts"
import { cutRun } from "./cut-run.ts"
import { fetchRun } from "./fetch-run.ts"
import { loadChunkIndex } from "./load-chunk-index.ts"
import {
  decodeManifest,
  encodeManifest,
  MANIFEST_BYTES_MAX,
  type Manifest,
  type StoredRun,
  summarizeManifest,
  type VersionName,
  type VersionSummary,
} from "./manifest.ts"
import { manifestKey, parseVersionKey, partitionPrefix, pinKey, STORES_PREFIX } from "./repository-keys.ts"
import { openRepositoryRoot, type RepositoryRoot } from "./repository-root.ts"
import { type PlannedPack, StorePlan } from "./store-plan.ts"
import { VersionCache } from "./version-cache.ts"
import { type WrittenPack, writePack } from "./write-pack.ts"

/** Runs of one call that are cut at the same time. */
const CUTS_AT_ONCE = 4
/** Manifests of one call that are read at the same time. */
const MANIFESTS_AT_ONCE = 16
/** Damaged objects remembered. */
const DAMAGED_MAX = 1000
/** Chunks of a written pack that are remembered before other work gets its turn. */
const CHUNKS_A_TURN = 1024
/** A pin says all by being there. */
const PIN = Buffer.from("pinned\n")

/** A run of this partition's directory that is to be stored. */
export interface RunToStore {
  readonly figures: RunFigures
  /** Absolute path of the run's file, which stays until the call is over. */
  readonly path: string
}

/** What a call of `storeRuns` did. */
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

export class Repository {
  readonly #objectStore: ObjectStore
  readonly #seams: Seams
  readonly #root: RepositoryRoot
  readonly #chunks = new ChunkIndex()
  #chunksLoaded: Promise<void> | undefined
  readonly #versions = new VersionCache()
  readonly #damaged = new Map<string, Error>()
  readonly #running = new Set<Promise<unknown>>()
  #closed = false

  private constructor(objectStore: ObjectStore, seams: Seams, root: RepositoryRoot) {
    this.#objectStore = objectStore
    this.#seams = seams
    this.#root = root
  }

  /**
   * Opens the repository in `objectStore`; makes one when there is none. Both arguments stay the caller's, who
   * closes them after the repository.
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`
   */
  static async open(objectStore: ObjectStore, seams: Seams): Promise<Repository> {
    return new Repository(objectStore, seams, await openRepositoryRoot(objectStore, seams.random))
  }

  get url(): string {
    return this.#objectStore.url
  }

  /** 32 hex digits, random, made with the repository. */
  get identity(): string {
    return this.#root.identity
  }

  /** Objects that could not be believed when they were last read, by their keys: the newest 1000. */
  get damaged(): ReadonlyMap<string, Error> {
    return this.#damaged
  }

  /**
   * Stores what the repository does not hold yet of these runs, and a recipe for each; durable when it resolves.
   * One object is written, or one for each PACK_BYTES_MAX. Without a manifest that lists the runs it means nothing.
   * @throws (rejects) EngineError `DATA_LOSS` when a run's file is not what its figures say, `STORAGE_FAILED`,
   * `REPOSITORY_FAILED`, `STORAGE_FULL`, `ENGINE_CLOSED`
   */
  storeRuns(runs: readonly RunToStore[]): Promise<StoreResult> {
    return this.#run(async () => {
      const plan = new StorePlan(this.#chunks, this.#seams)
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
      return { runs: stored, bytesNew, bytesReused, chunksNew, chunksReused }
    })
  }

  /**
   * Makes a version of runs that were stored before; durable when it resolves.
   * @throws (rejects) EngineError `VERSION_EXISTS`, and `STORE_NAME_INVALID`, `VERSION_INVALID`,
   * `METADATA_TOO_LARGE`, `REPOSITORY_FAILED`, `STORAGE_FULL`, `ENGINE_CLOSED`
   */
  commit(manifest: Manifest): Promise<void> {
    return this.#run(async () => {
      const { store, partition, timeline, version } = manifest
      const key = manifestKey(store, partition, manifest)
      if (await this.#objectStore.create(key, [encodeManifest(manifest)])) return
      throw new EngineError(
        "VERSION_EXISTS",
        `version ${version} of partition ${partition} of store ${store} exists on timeline ${timeline} already`,
      )
    })
  }

  /** @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED` */
  readManifest(store: string, partition: number, name: VersionName): Promise<Manifest> {
    return this.#run(async () => {
      const manifest = await this.#readManifest(manifestKey(store, partition, name))
      if (manifest === undefined) throw notFound(store, partition, name)
      return manifest
    })
  }

  /**
   * The versions of a partition on all timelines, oldest first. One whose manifest is damaged, or of a newer
   * format, is left out and appears in `damaged`.
   * @throws (rejects) EngineError `STORE_NAME_INVALID`, `REPOSITORY_FAILED`
   */
  listVersions(store: string, partition: number): Promise<VersionSummary[]> {
    return this.#run(async () => {
      const prefix = partitionPrefix(store, partition)
      const objects = await this.#objectStore.list(prefix)
      const pins = new Set<string>()
      const manifests: ObjectSummary[] = []
      for (const object of objects) {
        const name = parseVersionKey(object.key)
        if (name?.what === "manifest") manifests.push(object)
        if (name?.what === "pin") pins.add(manifestKey(store, partition, name))
      }
      this.#forgetDamageBelow(prefix, new Set(manifests.map(({ key }) => key)))
      const summaries = await inTurn(manifests, MANIFESTS_AT_ONCE, (object) => this.#summary(object))
      return summaries
        .flatMap((summary, i) =>
          summary === undefined ? [] : [{ ...summary, pinned: pins.has(manifests[i]!.key) }],
        )
        .sort(
          (a, b) => a.createdMs - b.createdMs || a.version - b.version || (a.timeline < b.timeline ? -1 : 1),
        )
    })
  }

  /** Versions of a partition that the last listing left out because their manifests could not be believed. */
  damagedVersions(store: string, partition: number): VersionName[] {
    const prefix = partitionPrefix(store, partition)
    return [...this.#damaged.keys()].flatMap((key) => {
      const name = key.startsWith(prefix) ? parseVersionKey(key) : undefined
      return name === undefined ? [] : [{ timeline: name.timeline, version: name.version }]
    })
  }

  /**
   * Writes a run to `path`, where nothing is yet; durable, and byte for byte what was stored, when it resolves.
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`,
   * `STORAGE_FAILED`, `ENGINE_CLOSED`
   */
  fetchRun(run: StoredRun, path: string): Promise<void> {
    return this.#run(() => this.#seams.executor.run(fetchRun, { url: this.url, run, path }))
  }

  /**
   * Removes a version, also one whose manifest is damaged. Its chunks stay until garbage is collected.
   * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_PINNED`, `REPOSITORY_FAILED`
   */
  deleteVersion(store: string, partition: number, name: VersionName): Promise<void> {
    return this.#run(async () => {
      const key = manifestKey(store, partition, name)
      if (!(await this.#exists(key))) throw notFound(store, partition, name)
      if (await this.#exists(pinKey(store, partition, name))) {
        throw new EngineError(
          "SNAPSHOT_PINNED",
          `version ${name.version} on timeline ${name.timeline} is pinned: take the pin off first`,
        )
      }
      await this.#objectStore.remove(key)
      this.#damaged.delete(key)
    })
  }

  /**
   * Pins a version against removal, or takes the pin off; asking twice is no error. A pin that is set while the
   * version is being removed may come too late; then this rejects, or the next listing does not have the version.
   * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `REPOSITORY_FAILED`, `STORAGE_FULL`
   */
  pin(store: string, partition: number, name: VersionName, pinned: boolean): Promise<void> {
    return this.#run(async () => {
      const key = pinKey(store, partition, name)
      if (pinned) await this.#objectStore.create(key, [PIN])
      else await this.#objectStore.remove(key)
      if (await this.#exists(manifestKey(store, partition, name))) return
      await this.#objectStore.remove(key)
      throw notFound(store, partition, name)
    })
  }

  /** Names of the stores that have versions here, sorted. @throws (rejects) EngineError `REPOSITORY_FAILED` */
  stores(): Promise<string[]> {
    return this.#run(async () => {
      const objects = await this.#objectStore.list(STORES_PREFIX)
      const names = objects.flatMap(({ key }) => {
        const name = parseVersionKey(key)
        return name?.what === "manifest" ? [name.store] : []
      })
      return [...new Set(names)].sort()
    })
  }

  /** Refuses new calls with `ENGINE_CLOSED` and waits for those that run. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#running)
  }

  /** The chunks of runs, which are cut while the chunk index is loaded, when it is not yet. */
  async #cut(runs: readonly RunToStore[]): Promise<ChunkList[]> {
    const parameters = this.#root.chunking
    const cut = inTurn(runs, CUTS_AT_ONCE, ({ figures, path }) =>
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
    const written = await this.#seams.executor.run(writePack, { ...pack, url: this.url })
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
    const loaded = loadChunkIndex(this.#objectStore, this.#chunks, {
      countMax: CHUNK_COUNT_MAX / 2,
      clock: this.#seams.clock,
      onDamage: (key, error) => this.#rememberDamage(key, error),
    })
    this.#chunksLoaded = loaded.catch((error: unknown) => {
      this.#chunksLoaded = undefined
      throw error
    })
    return this.#chunksLoaded
  }

  /** The summary of a listed manifest; undefined when it was removed meanwhile or cannot be believed. */
  async #summary(object: ObjectSummary): Promise<VersionSummary | undefined> {
    const cached = this.#versions.get(object)
    if (cached !== undefined) return cached
    try {
      const manifest = await this.#readManifest(object.key)
      this.#damaged.delete(object.key)
      if (manifest === undefined) return undefined
      const summary = summarizeManifest(manifest, false)
      this.#versions.set(object, summary)
      return summary
    } catch (error) {
      if (!isEngineError(error, "DATA_LOSS") && !isEngineError(error, "FORMAT_NEWER")) throw error
      this.#rememberDamage(object.key, error)
      return undefined
    }
  }

  async #readManifest(key: string): Promise<Manifest | undefined> {
    // One byte more than allowed shows an object that is too long.
    const source = await this.#objectStore.get(key, { offset: 0, bytes: MANIFEST_BYTES_MAX + 1 })
    if (source === undefined) return undefined
    return decodeManifest(source, key)
  }

  async #exists(key: string): Promise<boolean> {
    return (await this.#objectStore.get(key, { offset: 0, bytes: 1 })) !== undefined
  }

  #rememberDamage(key: string, error: Error): void {
    this.#damaged.delete(key)
    this.#damaged.set(key, error)
    const [oldest] = this.#damaged.keys()
    if (this.#damaged.size > DAMAGED_MAX && oldest !== undefined) this.#damaged.delete(oldest)
  }

  #forgetDamageBelow(prefix: string, listed: ReadonlySet<string>): void {
    for (const key of this.#damaged.keys()) {
      if (key.startsWith(prefix) && !listed.has(key)) this.#damaged.delete(key)
    }
  }

  /** Runs one call of this repository, which `close` waits for. */
  async #run<Result>(call: () => Promise<Result>): Promise<Result> {
    if (this.#closed) throw new EngineError("ENGINE_CLOSED", `the repository ${this.url} is closed`)
    const running = call()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }
}

/** Maps items in their order, `count` at a time; the first failure ends it when the calls on their way are over. */
async function inTurn<Item, Result>(
  items: readonly Item[],
  count: number,
  map: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  for (let first = 0; first < items.length; first += count) {
    const settled = await Promise.allSettled(items.slice(first, first + count).map((item) => map(item)))
    for (const each of settled) {
      if (each.status === "rejected") throw each.reason
      results.push(each.value)
    }
  }
  return results
}

function notFound(store: string, partition: number, { timeline, version }: VersionName): EngineError {
  return new EngineError(
    "SNAPSHOT_NOT_FOUND",
    `there is no version ${version} on timeline ${timeline} of partition ${partition} of store ${store}`,
  )
}
