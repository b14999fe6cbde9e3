// The versions of a store from its repository, in the messages that a daemon answers.

import type { SnapshotDescription } from "@varve/proto"
import { describeVersion } from "../../control/describe-version.ts"
import { MetadataRoom } from "../../control/metadata-room.ts"
import { groupVersions, type StoreVersion } from "../../control/store-versions.ts"
import { type OfflineOptions, type OfflineStore, withOfflineStore } from "./offline-store.ts"

/** @param asked only versions that these partitions have. @throws (rejects) UsageError, VarveError */
export function listOffline(
  options: OfflineOptions,
  asked: readonly number[],
): Promise<{ readonly snapshots: SnapshotDescription[]; readonly damage: readonly string[] }> {
  return withOfflineStore(options, async (store) => ({
    snapshots: groupVersions(store.partitions)
      .filter(({ parts }) => asked.every((index) => parts.some(({ partition }) => partition === index)))
      .map((version) => describeOffline(store, version)),
    damage: store.damage,
  }))
}

/** The version as `snapshots list` shows it; no metadata is left out. */
export function describeOffline({ partitions }: OfflineStore, version: StoreVersion): SnapshotDescription {
  return describeVersion(version, partitions, new MetadataRoom(Number.MAX_SAFE_INTEGER))
}
