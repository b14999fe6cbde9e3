// An engine as main has it: what concerns its versions, while its records are the business of the shard where it is.
//
// Main alone makes these calls, and each answer brings along where the engine stands, so what is remembered here is
// what is there, but for the figures and for fencing, which are as of the last answer.

import type {
  Engine,
  EngineStatistics,
  RestoreOptions,
  RestoreResult,
  SnapshotOptions,
  SnapshotResult,
} from "@varve/engines"
import type { VersionSummary } from "@varve/engines/internal"
import type { EngineStanding, PartitionName } from "../shard/shard-port.ts"
import type { VersionedEngine } from "./partition.ts"
import type { ShardClient } from "./shard-client.ts"

export class RemoteEngine implements VersionedEngine {
  readonly name: PartitionName
  /** The shard where it is; another thread after the first one has died. */
  readonly #shard: () => ShardClient
  #standing: EngineStanding

  constructor(name: PartitionName, shard: () => ShardClient, standing: EngineStanding) {
    this.name = name
    this.#shard = shard
    this.#standing = standing
  }

  /** What was told of it. */
  set standing(standing: EngineStanding) {
    this.#standing = standing
  }

  get recovery(): Engine["recovery"] {
    return this.#standing.recovery
  }

  get owner(): Engine["owner"] {
    return this.#standing.owner
  }

  get lineage(): string {
    return this.#standing.lineage
  }

  get position(): Engine["position"] {
    return this.#standing.position
  }

  get line(): Engine["line"] {
    return this.#standing.line
  }

  damagedVersions(): ReturnType<Engine["damagedVersions"]> {
    return [...this.#standing.damaged]
  }

  statistics(): EngineStatistics {
    return this.#standing.statistics
  }

  snapshot(options: SnapshotOptions): Promise<SnapshotResult> {
    return this.#call("snapshot", options)
  }

  restore(options: RestoreOptions): Promise<RestoreResult> {
    return this.#call("restore", options)
  }

  listVersions(): Promise<VersionSummary[]> {
    return this.#call("listVersions")
  }

  deleteVersion(version: number, timeline?: string): Promise<void> {
    return this.#call("deleteVersion", version, timeline)
  }

  pinVersion(version: number, pinned: boolean, timeline?: string, name?: string): Promise<void> {
    return this.#call("pinVersion", version, pinned, timeline, name)
  }

  #call<Result>(name: Parameters<ShardClient["callEngine"]>[1], ...argumentList: unknown[]): Promise<Result> {
    const learn = (standing: EngineStanding): void => {
      this.#standing = standing
    }
    return this.#shard().callEngine(this.name, name, argumentList, learn) as Promise<Result>
  }
}
