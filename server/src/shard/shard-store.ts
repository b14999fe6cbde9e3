// A store as a shard sees it, for reads and writes: all of its partitions, each with its engine when it lives here, or
// with the shard that owns it.

import { strict as assert } from "node:assert"
import type { Engine } from "@varve/engines"
import { partitionOfKey, VarveError } from "@varve/proto"
import type { StoreSettings } from "../config/settings.ts"
import type { Peer } from "./peer.ts"

export class ShardPartition {
  readonly index: number
  /** The shard that owns it; undefined: this one. */
  readonly owner: Peer | undefined
  #engine: Engine | undefined

  constructor(index: number, owner: Peer | undefined) {
    this.index = index
    this.owner = owner
  }

  /** Its engine. To be asked for on the owning shard only, once it is open. */
  get engine(): Engine {
    assert(this.#engine !== undefined, "a partition's engine is asked for where it is open")
    return this.#engine
  }

  get isOpen(): boolean {
    return this.#engine !== undefined
  }

  /** From now on the partition's engine is here. */
  attach(engine: Engine): void {
    assert(this.owner === undefined && this.#engine === undefined, "a partition has one engine, at its owner")
    this.#engine = engine
  }
}

export class ShardStore {
  readonly settings: StoreSettings
  /** All of the store, by number. */
  readonly partitions: readonly ShardPartition[]

  constructor(settings: StoreSettings, partitions: readonly ShardPartition[]) {
    this.settings = settings
    this.partitions = partitions
  }

  /** Those that live here. */
  get own(): ShardPartition[] {
    return this.partitions.filter(({ isOpen }) => isOpen)
  }

  /** @throws VarveError `PARTITION_OUT_OF_RANGE` */
  partition(index: number): ShardPartition {
    const partition = this.partitions[index]
    if (partition !== undefined) return partition
    throw new VarveError(
      "PARTITION_OUT_OF_RANGE",
      `store ${this.settings.name} has no partition ${index}; it has 0 to ${this.partitions.length - 1}`,
    )
  }

  /**
   * The partition of a key, checked against the one that the caller gave.
   * @throws VarveError `PARTITION_OUT_OF_RANGE`, `PARTITION_REQUIRED`, `WRONG_PARTITION`
   */
  partitionOf(key: Uint8Array, given: number | undefined): ShardPartition {
    if (this.settings.partitioning === "explicit") {
      if (given === undefined) {
        throw new VarveError(
          "PARTITION_REQUIRED",
          `store ${this.settings.name} is partitioned explicitly: the call has to name a partition`,
        )
      }
      return this.partition(given)
    }
    const owner = partitionOfKey(key, this.partitions.length)
    if (given !== undefined && given !== owner) {
      this.partition(given)
      throw wrongPartition(given, owner)
    }
    return this.partition(owner)
  }
}

/** The error of a key that was sent to a partition that does not own it. */
export function wrongPartition(given: number, owner: number): VarveError {
  return new VarveError("WRONG_PARTITION", `the key belongs to partition ${owner}, not to ${given}`, {
    metadata: { partition: String(owner) },
  })
}
