// Answers of the small daemon of the client's tests that say the same whatever is in its memory.

import type { StatusObject } from "@grpc/grpc-js"
import { errorTrailer, type PipelineResponse, type SnapshotDescription, VarveError } from "@varve/proto"

export function failure({ code, reason, message }: VarveError): PipelineResponse["result"] {
  return { $case: "error", value: { code, reason, message } }
}

export function statusOf(error: unknown): Partial<StatusObject> {
  if (!(error instanceof VarveError)) throw error
  const { code, reason, message, metadata } = error
  return { code, details: message, metadata: errorTrailer({ code, reason, message, metadata }) }
}

export function notHere(): never {
  throw new VarveError("UNIMPLEMENTED", "this daemon takes point calls through the pipeline only")
}

export function summary(version: number, metadata: Uint8Array): SnapshotDescription {
  return {
    version: BigInt(version),
    timeline: "t",
    parentVersion: 0n,
    parentTimeline: "",
    createdMs: 1n,
    complete: true,
    currentLine: true,
    pinned: false,
    pinNames: [],
    engine: "memory",
    records: 1n,
    bytes: 1n,
    bytesNew: 1n,
    partitions: [0],
    metadata,
    metadataBytes: metadata.length,
  }
}
