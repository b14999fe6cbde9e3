// The administrative calls: main does them for all shards, whichever port they came to. Their messages are those of the
// contract, and survive structured cloning as they are.

import type {
  CollectGarbageRequest,
  CollectGarbageResponse,
  DeleteSnapshotRequest,
  DeleteSnapshotResponse,
  DescribeRequest,
  DescribeResponse,
  DrillStoreRequest,
  DrillStoreResponse,
  ListSnapshotsRequest,
  ListSnapshotsResponse,
  PinSnapshotRequest,
  PinSnapshotResponse,
  PruneSnapshotsRequest,
  PruneSnapshotsResponse,
  RestoreRequest,
  RestoreResponse,
  SnapshotRequest,
  SnapshotResponse,
  WhyKeptRequest,
  WhyKeptResponse,
} from "@varve/proto"

/** Request and response of each call. */
interface AdministrativeMessages {
  describe: [DescribeRequest, DescribeResponse]
  snapshot: [SnapshotRequest, SnapshotResponse]
  restore: [RestoreRequest, RestoreResponse]
  listSnapshots: [ListSnapshotsRequest, ListSnapshotsResponse]
  deleteSnapshot: [DeleteSnapshotRequest, DeleteSnapshotResponse]
  pinSnapshot: [PinSnapshotRequest, PinSnapshotResponse]
  pruneSnapshots: [PruneSnapshotsRequest, PruneSnapshotsResponse]
  collectGarbage: [CollectGarbageRequest, CollectGarbageResponse]
  whyKept: [WhyKeptRequest, WhyKeptResponse]
  drillStore: [DrillStoreRequest, DrillStoreResponse]
}

export type AdministrativeCall = keyof AdministrativeMessages

export type RequestOf<Name extends AdministrativeCall> = AdministrativeMessages[Name][0]
export type ResponseOf<Name extends AdministrativeCall> = AdministrativeMessages[Name][1]

const names: Readonly<Record<AdministrativeCall, true>> = {
  describe: true,
  snapshot: true,
  restore: true,
  listSnapshots: true,
  deleteSnapshot: true,
  pinSnapshot: true,
  pruneSnapshots: true,
  collectGarbage: true,
  whyKept: true,
  drillStore: true,
}
export const administrativeCalls = Object.keys(names) as AdministrativeCall[]

/** What does the calls. */
export type AdministrativeWork = {
  readonly [Name in AdministrativeCall]: (
    request: RequestOf<Name>,
  ) => ResponseOf<Name> | Promise<ResponseOf<Name>>
}

/** The calls as HTTP and the shards make them. */
export type AdministrativeCalls = {
  readonly [Name in AdministrativeCall]: (request: RequestOf<Name>) => Promise<ResponseOf<Name>>
}
