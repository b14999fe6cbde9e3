// Partitions that a store had when it had more of them than now. No engine runs them; their parts of versions stay in the
// repository, listed, pinned and put back with all others, until they are pruned.
//
//   versions of 4 partitions   0 1 2 3
//   the store now has 2        0 1 ▲ ▲ former

import type { VersionName } from "@varve/engines"
import { eachAtOnce, type Repository } from "@varve/engines/internal"
import type { PartitionVersions } from "./store-versions.ts"

/** Partitions listed at the same time. */
const PARTITIONS_AT_ONCE = 8

export type FormerPartitionsRepository = Pick<
  Repository,
  "listVersions" | "damagedVersions" | "deleteVersion" | "pin" | "unpin"
>

export class FormerPartitions {
  readonly #store: string
  readonly #servedCount: number
  readonly #repository: FormerPartitionsRepository

  /** @param servedCount how many partitions the store has */
  constructor(store: string, servedCount: number, repository: FormerPartitionsRepository) {
    this.#store = store
    this.#servedCount = servedCount
    this.#repository = repository
  }

  /** Their versions, as far as versions of `served` were written with more partitions. */
  versions(served: readonly PartitionVersions[]): Promise<PartitionVersions[]> {
    let count = this.#servedCount
    for (const { versions } of served) {
      for (const { partitionCount } of versions) count = Math.max(count, partitionCount)
    }
    const indexes = Array.from({ length: count - this.#servedCount }, (_, i) => this.#servedCount + i)
    return eachAtOnce(indexes, PARTITIONS_AT_ONCE, async (partition) => ({
      partition,
      versions: await this.#repository.listVersions(this.#store, partition),
      line: [],
      isFormer: true,
    }))
  }

  /** As `Engine.damagedVersions`. */
  damagedVersions(partition: number): VersionName[] {
    return this.#repository.damagedVersions(this.#store, partition)
  }

  /** @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_PINNED`, `REPOSITORY_FAILED` */
  deleteVersion(partition: number, name: VersionName): Promise<void> {
    return this.#repository.deleteVersion(this.#store, partition, name)
  }

  /** As `Engine.pinVersion`. @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `REPOSITORY_FAILED` */
  pinVersion(partition: number, version: VersionName, pinned: boolean, name?: string): Promise<void> {
    if (pinned) return this.#repository.pin(this.#store, partition, version, name)
    return this.#repository.unpin(this.#store, partition, version, name)
  }
}
