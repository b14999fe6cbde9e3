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

import { ClosableCalls } from "../base/closable-calls.ts"
import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Seams } from "../io/seams.ts"
import type { EndangeredRuns } from "./condemned-packs.ts"
import { fetchRun } from "./fetch-run.ts"
import {
  encodeManifest,
  type Manifest,
  type StoredRun,
  type VersionName,
  type VersionSummary,
} from "./manifest.ts"
import { ManifestReader } from "./manifest-reader.ts"
import { type OwnedPartition, Ownership, versionExists } from "./ownership.ts"
import { type ListedManifest, PartitionListings } from "./partition-listing.ts"
import {
  checkVersionName,
  manifestKey,
  parseVersionKey,
  partitionPrefix,
  pinKey,
  STORES_PREFIX,
  type WrittenVersion,
} from "./repository-keys.ts"
import { checkRepositoryOptions, type RepositoryOptions } from "./repository-options.ts"
import { openRepositoryRoot, type RepositoryRoot } from "./repository-root.ts"
import { type MergeUpload, RunStorage, type RunToStore, type StoreResult } from "./run-storage.ts"
import { StoredRuns } from "./stored-runs.ts"
import { isSameVersion } from "./timeline.ts"
import { UploadBudget } from "./upload-budget.ts"

/** Manifests of one call that are read at the same time. */
const MANIFESTS_AT_ONCE = 16
/** A pin says all by being there. */
const PIN = Buffer.from("pinned\n")

/** Where versions live: a directory or a bucket. */
export class Repository {
  /** Runs to be read where they are. @internal */
  readonly storedRuns: StoredRuns
  /** False: every version stores all runs of its state anew. */
  readonly deduplication: boolean
  readonly #objectStore: ObjectStore
  readonly #seams: Seams
  readonly #root: RepositoryRoot
  readonly #listings: PartitionListings
  readonly #storage: RunStorage
  readonly #manifests: ManifestReader
  readonly #calls: ClosableCalls

  private constructor(
    objectStore: ObjectStore,
    seams: Seams,
    root: RepositoryRoot,
    options: RepositoryOptions,
    budget: UploadBudget,
  ) {
    const { chunkCacheBytes, chunkCountMax, deduplication = true } = options
    this.deduplication = deduplication
    this.storedRuns = new StoredRuns(objectStore, seams.clock, chunkCacheBytes)
    this.#objectStore = objectStore
    this.#calls = new ClosableCalls(`the repository ${objectStore.url} is closed`)
    this.#seams = seams
    this.#root = root
    this.#storage = new RunStorage(objectStore, seams, {
      chunking: root.chunking,
      deduplication,
      budget,
      ...(chunkCountMax === undefined ? {} : { chunkCountMax }),
      storedRuns: this.storedRuns,
      onDamage: (key, error) => this.#manifests.rememberDamage(key, error),
    })
    this.#listings = new PartitionListings(objectStore)
    this.#manifests = new ManifestReader(objectStore)
  }

  /**
   * Opens the repository in `objectStore`; makes one when there is none. Both arguments stay the caller's, who
   * closes them after the repository.
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`, `SETTING_INVALID`
   * @internal
   */
  static async open(
    objectStore: ObjectStore,
    seams: Seams,
    options: RepositoryOptions = {},
  ): Promise<Repository> {
    checkRepositoryOptions(options)
    const budget = new UploadBudget(seams.clock, options.mergeUploadBytesPerSecond)
    const root = await openRepositoryRoot(objectStore, seams.random)
    return new Repository(objectStore, seams, root, options, budget)
  }

  /** Where it is. */
  get url(): string {
    return this.#objectStore.url
  }

  /** 32 hex digits, random, made with the repository. */
  get identity(): string {
    return this.#root.identity
  }

  /** Objects that could not be believed when they were last read, by their keys: the newest 1000. */
  get damaged(): ReadonlyMap<string, Error> {
    return this.#manifests.damaged
  }

  /**
   * Stores what the repository does not hold yet of these runs, and a recipe for each; durable when it resolves.
   * One object is written, or one for each PACK_BYTES_MAX. Without a manifest that lists the runs it means nothing.
   * @throws (rejects) EngineError `DATA_LOSS` when a run's file is not what its figures say, `STORAGE_FAILED`,
   * `REPOSITORY_FAILED`, `STORAGE_FULL`, `ENGINE_CLOSED`
   * @internal
   */
  storeRuns(runs: readonly RunToStore[]): Promise<StoreResult> {
    return this.#calls.run(() => this.#storage.store(runs))
  }

  /**
   * The same for one run that a merge has made and that nobody waits for: in small packs, each of which waits for the
   * budget of this repository.
   * @throws (rejects) EngineError as `storeRuns`; `ENGINE_CLOSED` also when it was told to stop
   * @internal
   */
  storeMergedRun(run: RunToStore, upload: MergeUpload): Promise<StoredRun> {
    return this.#calls.run(() => this.#storage.storeMerged(run, upload))
  }

  /**
   * Ids of those of these stored runs that the next manifest should not rely on: `going`, garbage collection is about
   * to remove chunks of them; `damaged`, chunks of them lie in packs that are distrusted. They are to be stored again,
   * those that are damaged if they are here. Nearly always none, without a request.
   * @throws (rejects) EngineError `DATA_LOSS`, `REPOSITORY_FAILED`, `ENGINE_CLOSED`
   * @internal
   */
  endangered(runs: readonly StoredRun[]): Promise<EndangeredRuns> {
    return this.#calls.run(() => this.#storage.endangered(runs))
  }

  /** These packs turned out to be damaged, or to be gone: from now on nothing that is stored relies on them. @internal */
  distrust(packs: readonly string[]): void {
    this.#storage.distrust(packs)
  }

  /**
   * Takes a partition for writing: see ownership.ts. Some eight requests; who only reads takes nothing.
   * @throws (rejects) EngineError as `Ownership.take`, and `ENGINE_CLOSED`
   * @internal
   */
  own(partition: OwnedPartition): Promise<Ownership> {
    const { clock, random } = this.#seams
    const commit = (manifest: Manifest): Promise<void> => this.commit(manifest)
    const host = { objectStore: this.#objectStore, listings: this.#listings, clock, random, commit }
    return this.#calls.run(() => Ownership.take(host, partition))
  }

  /**
   * Makes a version of runs that were stored before, under the epoch that the manifest says; durable when it resolves.
   * Asks for no owner: whether the version counts is for `Ownership.commit` to find out.
   * @throws (rejects) EngineError `VERSION_EXISTS`, and `STORE_NAME_INVALID`, `VERSION_INVALID`,
   * `METADATA_TOO_LARGE`, `REPOSITORY_FAILED`, `STORAGE_FULL`, `ENGINE_CLOSED`
   * @internal
   */
  commit(manifest: Manifest): Promise<void> {
    return this.#calls.run(async () => {
      const { store, partition } = manifest
      const key = manifestKey(store, partition, manifest)
      if (await this.#objectStore.create(key, [encodeManifest(manifest)])) return
      throw versionExists(store, partition, manifest)
    })
  }

  /**
   * @param name with the epoch of a listing; without one a listing is made
   * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`
   * @internal
   */
  readManifest(
    store: string,
    partition: number,
    name: VersionName & { readonly epoch?: number },
  ): Promise<Manifest> {
    return this.#calls.run(async () => {
      const { epoch } = name
      const key =
        epoch === undefined
          ? (await this.#find(store, partition, name)).object.key
          : manifestKey(store, partition, { ...name, epoch })
      const manifest = await this.#manifests.read(key)
      if (manifest === undefined) throw notFound(store, partition, name)
      return manifest
    })
  }

  /**
   * The versions of a partition on all timelines, oldest first: those of an owner come after those of its predecessors.
   * Only what counts is listed (inheritance.ts). One whose manifest is damaged, or of a newer format, is left out and
   * appears in `damaged`.
   * @throws (rejects) EngineError `STORE_NAME_INVALID`, `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`
   */
  listVersions(store: string, partition: number): Promise<VersionSummary[]> {
    return this.#calls.run(async () => {
      const { manifests, pinsOf } = await this.#listings.list(store, partition)
      this.#manifests.forgetDamageBelow(
        partitionPrefix(store, partition),
        new Set(manifests.map(({ object }) => object.key)),
      )
      const summaries = await eachAtOnce(manifests, MANIFESTS_AT_ONCE, ({ object }) =>
        this.#manifests.summary(object),
      )
      return summaries
        .flatMap((summary) => (summary === undefined ? [] : [{ ...summary, ...pinFields(pinsOf(summary)) }]))
        .sort(compareAge)
    })
  }

  /**
   * Names of the versions of a partition, damaged ones too, in no order; no manifest is read.
   * @throws (rejects) as `listVersions`
   * @internal
   */
  listNames(store: string, partition: number): Promise<readonly WrittenVersion[]> {
    return this.#calls.run(async () => (await this.#listings.list(store, partition)).manifests)
  }

  /** Versions of a partition that the last listing left out because their manifests could not be believed. @internal */
  damagedVersions(store: string, partition: number): WrittenVersion[] {
    const prefix = partitionPrefix(store, partition)
    return [...this.damaged.keys()].flatMap((key) => {
      const name = key.startsWith(prefix) ? parseVersionKey(key) : undefined
      if (name?.what !== "manifest") return []
      return [{ timeline: name.timeline, version: name.version, epoch: name.epoch }]
    })
  }

  /**
   * Writes a run to `path`, where nothing is yet; durable, and byte for byte what was stored, when it resolves.
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`,
   * `STORAGE_FAILED`, `ENGINE_CLOSED`
   * @internal
   */
  fetchRun(run: StoredRun, path: string): Promise<void> {
    return this.#calls.run(() => this.#seams.executor.run(fetchRun, { url: this.url, run, path }))
  }

  /**
   * Removes a version, also one whose manifest is damaged. Its chunks stay until garbage is collected.
   * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_PINNED`, `REPOSITORY_FAILED`
   */
  deleteVersion(store: string, partition: number, name: VersionName): Promise<void> {
    return this.#calls.run(async () => {
      const { object, pins } = await this.#find(store, partition, name)
      if (pins.length > 0) {
        throw new EngineError(
          "SNAPSHOT_PINNED",
          `version ${name.version} on timeline ${name.timeline} is pinned: take the pin off first`,
        )
      }
      await this.#objectStore.remove(object.key)
      this.#manifests.forgetDamage(object.key)
    })
  }

  /**
   * Pins a version against removal; asking twice is no error. A version may have several pins, of different names, and
   * one without. A pin that is set while the version is being removed may come too late; then this rejects, or the next
   * listing does not have the version.
   * @param pinName 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first
   * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `SETTING_INVALID`, `REPOSITORY_FAILED`, `STORAGE_FULL`
   */
  pin(store: string, partition: number, name: VersionName, pinName = ""): Promise<void> {
    return this.#calls.run(async () => {
      const key = pinKey(store, partition, name, pinName)
      await this.#objectStore.create(key, [PIN])
      try {
        await this.#find(store, partition, name)
      } catch (error) {
        if (isEngineError(error, "SNAPSHOT_NOT_FOUND")) await this.#objectStore.remove(key)
        throw error
      }
    })
  }

  /**
   * Takes a pin off; without a name all of them. Asking twice is no error.
   * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `SETTING_INVALID`, `REPOSITORY_FAILED`
   */
  unpin(store: string, partition: number, name: VersionName, pinName?: string): Promise<void> {
    return this.#calls.run(async () => {
      const { pins } = await this.#find(store, partition, name)
      for (const each of pinName === undefined ? pins : [pinName]) {
        await this.#objectStore.remove(pinKey(store, partition, name, each))
      }
    })
  }

  /** Names of the stores that have versions here, sorted. @throws (rejects) EngineError `REPOSITORY_FAILED` */
  stores(): Promise<string[]> {
    return this.#calls.run(async () => {
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
    await this.#calls.close()
  }

  /** The manifest that counts of a version. @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND` */
  async #find(
    store: string,
    partition: number,
    name: VersionName,
  ): Promise<ListedManifest & { readonly pins: readonly string[] }> {
    checkVersionName(name)
    const { manifests, pinsOf } = await this.#listings.list(store, partition)
    const found = manifests.find((each) => isSameVersion(each, name))
    if (found === undefined) throw notFound(store, partition, name)
    return { ...found, pins: pinsOf(name) ?? [] }
  }
}

function pinFields(pins: readonly string[] | undefined): Pick<VersionSummary, "pinned" | "pinNames"> {
  return { pinned: pins !== undefined, pinNames: pins?.filter((name) => name !== "") ?? [] }
}

/** Clocks of different owners may differ: their epochs decide. */
function compareAge(a: VersionSummary, b: VersionSummary): number {
  return (
    a.epoch - b.epoch ||
    a.createdMs - b.createdMs ||
    a.version - b.version ||
    (a.timeline < b.timeline ? -1 : 1)
  )
}

function notFound(store: string, partition: number, { timeline, version }: VersionName): EngineError {
  return new EngineError(
    "SNAPSHOT_NOT_FOUND",
    `there is no version ${version} on timeline ${timeline} of partition ${partition} of store ${store}`,
  )
}
