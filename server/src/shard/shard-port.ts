// What main and a shard say to each other over the message port: calls with ids one way, answers and log lines
// the other way. All of it survives structured cloning.

import type {
  CollectGarbageRequest,
  CollectGarbageResponse,
  DeleteSnapshotRequest,
  DeleteSnapshotResponse,
  DescribeRequest,
  DescribeResponse,
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
import type { MetricObjectWithValues, MetricValue } from "prom-client"
import type { ListenAddress } from "../config/address.ts"
import type { Settings } from "../config/settings.ts"
import type { Failure } from "../grpc/failure.ts"
import type { LogLine } from "../log.ts"

/** What a shard does for main: the argument and the answer of each call. */
export interface ShardCalls {
  describe: [DescribeRequest, DescribeResponse]
  snapshot: [SnapshotRequest, SnapshotResponse]
  restore: [RestoreRequest, RestoreResponse]
  listSnapshots: [ListSnapshotsRequest, ListSnapshotsResponse]
  deleteSnapshot: [DeleteSnapshotRequest, DeleteSnapshotResponse]
  pinSnapshot: [PinSnapshotRequest, PinSnapshotResponse]
  pruneSnapshots: [PruneSnapshotsRequest, PruneSnapshotsResponse]
  collectGarbage: [CollectGarbageRequest, CollectGarbageResponse]
  whyKept: [WhyKeptRequest, WhyKeptResponse]
  /** The figures of the thread's registry. */
  metrics: [undefined, readonly MetricObjectWithValues<MetricValue<string>>[]]
  /** Stops taking calls, gives those that run a grace time, and closes every store, which keeps everything. */
  close: [{ readonly graceMs: number }, undefined]
}

export type ShardCallName = keyof ShardCalls

/** What a shard is started with. */
export interface ShardStart {
  readonly settings: Settings
  readonly softwareVersion: string
  readonly instance: string
  readonly startedMs: number
}

export interface ShardCallMessage {
  readonly id: number
  readonly name: ShardCallName
  readonly argument: ShardCalls[ShardCallName][0]
}

export type ShardMessage =
  | { readonly kind: "ready"; readonly grpc: ListenAddress }
  /** It could not start, for a reason that the operator can mend. */
  | { readonly kind: "refused"; readonly message: string; readonly isSetting: boolean }
  | { readonly kind: "log"; readonly line: LogLine }
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly failure: Failure }
