// What users of the client import.

export { isVarveError, type Reason, VarveError } from "@varve/proto"
export type { Bytes } from "./bytes.ts"
export type {
  CallOptions,
  Condition,
  ConnectOptions,
  DeleteOptions,
  PointOptions,
  RollbackPolicy,
  SetOptions,
  WriteOptions,
} from "./options.ts"
export type { Plain } from "./plain.ts"
export { connect, type State } from "./state.ts"
export type {
  Description,
  ExpectedRecord,
  PinOptions,
  RestoreOptions,
  RestoreResult,
  ScanOptions,
  SnapshotOptions,
  SnapshotResult,
  SnapshotSummary,
  StateRecord,
  VersionOptions,
  WriteRecord,
} from "./state-types.ts"
export type { StateStatistics } from "./statistics.ts"
