// One partition as its store sees it: the engine, and what goes on with it.

import type { Engine } from "@varve/engines"

/** How a partition's state came up when the daemon started. `replayed`: from its log, with every acknowledged write. */
export type PartitionRecovery = "new" | "continued" | "replayed" | "restored" | "lost"

/** What concerns the versions of a partition, wherever its engine is. */
export type VersionedEngine = Pick<
  Engine,
  | "recovery"
  | "owner"
  | "lineage"
  | "position"
  | "line"
  | "snapshot"
  | "restore"
  | "listVersions"
  | "damagedVersions"
  | "deleteVersion"
  | "pinVersion"
  | "statistics"
>

export class Partition {
  readonly index: number
  readonly engine: VersionedEngine
  recovery: PartitionRecovery = "new"
  /** A restore of this partition runs: no snapshot and no other restore of it may start. */
  restoring = false
  /** Its shard has died, and its state is not yet known again: nothing is sealed or put back but by its recovery. */
  isLost = false
  /** Versions that are sealed and not committed yet. */
  readonly pendingVersions = new Set<number>()

  constructor(index: number, engine: VersionedEngine) {
    this.index = index
    this.engine = engine
  }

  /** The highest version that the next one must be above. */
  get versionFloor(): number {
    return Math.max(this.engine.position.version, ...this.pendingVersions)
  }
}
