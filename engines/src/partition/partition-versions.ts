// The versions of one partition as its callers name them: listed, removed, pinned. Making them and putting them back is
// the work of snapshot-queue.ts and restores.ts.

import type { VersionName, VersionSummary } from "../snapshots/manifest.ts"
import type { Repository } from "../snapshots/repository.ts"
import { resolveVersion } from "../snapshots/timeline.ts"
import { versionNames } from "./choose-source.ts"
import type { PartitionIdentity, PartitionParts } from "./live-state.ts"

export class PartitionVersions {
  readonly #identity: PartitionIdentity
  readonly #parts: PartitionParts
  readonly #repository: Repository
  /** The line that the partition stands on now: what a number alone means. */
  readonly #line: () => readonly VersionName[]

  constructor(identity: PartitionIdentity, parts: PartitionParts, line: () => readonly VersionName[]) {
    this.#identity = identity
    this.#parts = parts
    this.#repository = parts.repository
    this.#line = line
  }

  /** See `Repository.listVersions`. */
  list(): Promise<VersionSummary[]> {
    const { store, partition } = this.#identity
    return this.#repository.listVersions(store, partition)
  }

  /** See `Repository.damagedVersions`. */
  damaged(): VersionName[] {
    const { store, partition } = this.#identity
    return this.#repository.damagedVersions(store, partition)
  }

  /** See `Engine.deleteVersion`. */
  async delete(version: number, timeline: string | undefined): Promise<void> {
    const { store, partition } = this.#identity
    const names = await versionNames(this.#identity, this.#parts)
    const name = resolveVersion(names, { version, timeline }, this.#line())
    await this.#repository.deleteVersion(store, partition, name)
  }

  /** See `Engine.pinVersion`. */
  async pin(
    version: number,
    pinned: boolean,
    timeline: string | undefined,
    name: string | undefined,
  ): Promise<void> {
    const { store, partition } = this.#identity
    const found = resolveVersion(await this.list(), { version, timeline }, this.#line())
    if (pinned) await this.#repository.pin(store, partition, found, name)
    else await this.#repository.unpin(store, partition, found, name)
  }
}
