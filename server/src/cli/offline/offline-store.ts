// A store as its repository has it: versions of all partitions, read without a daemon and without taking anything from
// one. Loaded only by commands that need it: the engines take half of the start-up time.

import { isEngineError } from "@varve/engines"
import {
  eachAtOnce,
  isSameVersion,
  type Manifest,
  type ObjectStore,
  openObjectStore,
  parseVersionKey,
  Repository,
  RunShelf,
  STORES_PREFIX,
  StoreVersionReader,
  systemSeams,
  type VersionName,
  VersionReader,
} from "@varve/engines/internal"
import { partitionOfKey, VarveError } from "@varve/proto"
import {
  groupVersions,
  type PartitionVersions,
  restoreTargets,
  withOtherLayouts,
} from "../../control/store-versions.ts"
import { OfflineError, UsageError } from "../exit-codes.ts"
import { repositoryUrl, requireRepository } from "../repository-work.ts"

/** Chunks that were read stay in memory up to this. */
const CHUNK_CACHE_BYTES = 64 * 1024 * 1024
/** Partitions that are listed at the same time. */
const PARTITIONS_AT_ONCE = 8
const VERSION = /^(?:([a-z0-9-]{1,40})\/)?([1-9]\d{0,15})$/

export interface OfflineOptions {
  readonly repository: string
  readonly store: string
}

export class OfflineStore {
  readonly objectStore: ObjectStore
  readonly repository: Repository
  readonly name: string
  /** Of every partition there is or was: its versions, oldest first, and the line of the newest one. */
  readonly partitions: readonly PartitionVersions[]
  /** What is wrong with objects that versions are listed from: versions may be missing. */
  readonly damage: readonly string[]
  readonly shelf: RunShelf

  private constructor(
    parts: Pick<OfflineStore, "objectStore" | "repository" | "name" | "partitions" | "damage">,
  ) {
    this.objectStore = parts.objectStore
    this.repository = parts.repository
    this.name = parts.name
    this.partitions = parts.partitions
    this.damage = parts.damage
    this.shelf = new RunShelf(parts.repository)
  }

  /** @throws (rejects) VarveError `STORE_UNKNOWN` when it has no versions there; EngineError `REPOSITORY_FAILED` */
  static async open(objectStore: ObjectStore, repository: Repository, name: string): Promise<OfflineStore> {
    const seen = await countPartitions(objectStore, name)
    if (seen === 0) throw await unknownStore(repository, name)
    const damage: string[] = []
    const indices = Array.from({ length: seen }, (_, partition) => partition)
    const listed = await eachAtOnce(indices, PARTITIONS_AT_ONCE, async (partition) => {
      try {
        const versions = await repository.listVersions(name, partition)
        return { partition, versions, line: [] }
      } catch (error) {
        if (!isEngineError(error, "DATA_LOSS") && !isEngineError(error, "FORMAT_NEWER")) throw error
        damage.push(error.message)
        return { partition, versions: [], line: [] }
      }
    })
    const partitions = inPresentLayout(listed)
    for (const error of repository.damaged.values()) damage.push(error.message)
    return new OfflineStore({ objectStore, repository, name, partitions, damage })
  }

  /**
   * The version of each partition that `text`, `7` or `TIMELINE/7`, means: as many as the store had then.
   * @throws UsageError, EngineError
   */
  resolve(text: string): VersionName[] {
    const match = VERSION.exec(text)
    if (match === null || !Number.isSafeInteger(Number(match[2]))) {
      throw new UsageError(`"${text}" is no version: a number, or TIMELINE/NUMBER`)
    }
    const served = this.partitions.filter(({ isFormer }) => isFormer !== true)
    const restorable = withOtherLayouts(served, this.partitions)
    const names = restoreTargets(restorable, { version: Number(match[2]), timeline: match[1] })
    const [name] = names as [VersionName]
    const { partitionCount } = groupVersions(this.partitions).find((each) => isSameVersion(each, name))!
    if (partitionCount === 0 || partitionCount === served.length) return names
    return Array.from({ length: partitionCount }, () => name)
  }

  /** The manifests of all partitions. @throws (rejects) UsageError, EngineError */
  manifests(text: string): Promise<Manifest[]> {
    const names = this.resolve(text)
    return eachAtOnce(names.entries(), PARTITIONS_AT_ONCE, ([at, name]) => this.manifest(at, name))
  }

  /** @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED` */
  manifest(partition: number, { timeline, version }: VersionName): Promise<Manifest> {
    // One version of several partitions may be of another epoch in each of them: owners of each are counted by themselves.
    const name = { timeline, version }
    const listed = this.partitions[partition]?.versions.find((each) => isSameVersion(each, name))
    return this.repository.readManifest(this.name, partition, listed ?? name)
  }

  /** The version of the partition that has the key, or of the one given. @throws (rejects) UsageError, EngineError */
  async openFor(text: string, key: Uint8Array, given?: number): Promise<VersionReader> {
    const names = this.resolve(text)
    const partition = partitionOf(key, names.length, given)
    return VersionReader.open(await this.manifest(partition, names[partition]!), this.shelf)
  }

  /** @throws (rejects) UsageError, EngineError */
  async openVersion(text: string): Promise<StoreVersionReader> {
    const manifests = await this.manifests(text)
    const readers = await eachAtOnce(manifests, PARTITIONS_AT_ONCE, (each) =>
      VersionReader.open(each, this.shelf),
    )
    return new StoreVersionReader(readers, (key) => partitionOfKey(key, readers.length))
  }
}

/** The partition, of `count`, of a key: the one given, or that of its slot. @throws UsageError */
export function partitionOf(key: Uint8Array, count: number, given?: number): number {
  if (given === undefined) return partitionOfKey(key, count)
  if (given < count) return given
  throw new UsageError(`the store has partitions 0 to ${count - 1}, not ${given}`)
}

/**
 * The listings, with each partition that the store has and no version is of. How many it has the newest version says:
 * any number of partitions begins with partition 0.
 */
function inPresentLayout(listed: readonly PartitionVersions[]): PartitionVersions[] {
  const counts = listed.flatMap(({ versions }) => versions.map(({ partitionCount }) => partitionCount))
  const most = counts.reduce((highest, count) => Math.max(highest, count), listed.length)
  const present = listed[0]?.versions.at(-1)?.partitionCount ?? most
  return Array.from({ length: most }, (_, partition) => {
    const versions = listed[partition]?.versions ?? []
    if (partition >= present) return { partition, versions, line: [], isFormer: true }
    const newest = versions.findLast(({ partitionCount }) => partitionCount === present)
    return { partition, versions, line: newest?.line ?? [] }
  })
}

/** Runs `use` with the store, and closes everything afterwards. @throws (rejects) UsageError, VarveError */
export async function withOfflineStore<Result>(
  { repository: url, store: name }: OfflineOptions,
  use: (store: OfflineStore) => Promise<Result>,
): Promise<Result> {
  const absolute = repositoryUrl(url)
  const seams = systemSeams({ threads: 1 })
  const closing: (() => Promise<void>)[] = [() => seams.close()]
  try {
    const objectStore = await openObjectStore(absolute, seams)
    closing.push(() => objectStore.close())
    await requireRepository(objectStore)
    const repository = await Repository.open(objectStore, seams, { chunkCacheBytes: CHUNK_CACHE_BYTES })
    closing.push(() => repository.close())
    const store = await OfflineStore.open(objectStore, repository, name)
    closing.push(() => store.shelf.close())
    return await use(store)
  } catch (error) {
    if (isEngineError(error)) throw new OfflineError(error)
    throw error
  } finally {
    for (const close of closing.reverse()) await close()
  }
}

/** One more than the highest partition that the repository has a manifest of. */
async function countPartitions(objectStore: ObjectStore, name: string): Promise<number> {
  let count = 0
  for (const { key } of await objectStore.list(`${STORES_PREFIX}${name}/`)) {
    const parsed = parseVersionKey(key)
    if (parsed?.what === "manifest" && parsed.store === name) count = Math.max(count, parsed.partition + 1)
  }
  return count
}

async function unknownStore(repository: Repository, name: string): Promise<VarveError> {
  const stores = await repository.stores()
  const known = stores.length === 0 ? "no versions at all" : `versions of ${stores.join(", ")}`
  return new VarveError("STORE_UNKNOWN", `no versions of a store ${name} are there; there are ${known}`)
}
