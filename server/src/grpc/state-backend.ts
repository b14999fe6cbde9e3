// The service varve.v1.StateBackend: every call of the contract with its handler, each in the one wrapper.

import type { StateBackendServer } from "@varve/proto"
import type { Limits } from "../config/settings.ts"
import type { Log } from "../log.ts"
import type { OperationMetrics } from "../metrics/operation-metrics.ts"
import type { Administration } from "../shard/administration.ts"
import type { Stores } from "../shard/stores.ts"
import type { Admission } from "./admission.ts"
import { Frames } from "./frame.ts"
import { duplexStream, serverStream, unary } from "./handlers.ts"
import type { Inflight } from "./inflight.ts"
import { pipelineCall } from "./pipeline-call.ts"
import { PointCalls } from "./point-calls.ts"
import { scanCall } from "./scan-call.ts"

export interface StateBackendParts {
  readonly stores: Stores
  readonly administration: Administration
  readonly operations: OperationMetrics
  readonly inflight: Inflight
  readonly admission: Admission
  readonly limits: Limits
  readonly log: Log
}

/** Of an answer besides its values: tags, lengths, ids. */
const ANSWER_OVERHEAD_BYTES = 1024

/** The handlers of the service. */
export function stateBackend(parts: StateBackendParts): StateBackendServer {
  const { stores, administration, operations, inflight, admission, limits, log } = parts
  const answerBytesMax = limits.messageBytesMax - ANSWER_OVERHEAD_BYTES
  const points = new PointCalls(stores, operations, inflight, answerBytesMax)
  const frames = new Frames(stores, operations, answerBytesMax)
  const { streamInflightBytesMax } = limits
  return {
    get: unary(log, (request) => points.get(request)),
    set: unary(log, (request) => points.set(request)),
    delete: unary(log, (request) => points.delete(request)),
    getMany: unary(log, (request) => points.getMany(request)),
    write: unary(log, (request) => points.write(request)),
    scan: serverStream(log, scanCall(stores, operations, inflight)),
    pipeline: duplexStream(log, pipelineCall({ frames, inflight, admission, streamInflightBytesMax, log })),
    snapshot: unary(log, (request) => administration.snapshot(request)),
    restore: unary(log, (request) => administration.restore(request)),
    listSnapshots: unary(log, (request) => administration.listSnapshots(request)),
    deleteSnapshot: unary(log, (request) => administration.deleteSnapshot(request)),
    pinSnapshot: unary(log, (request) => administration.pinSnapshot(request)),
    pruneSnapshots: unary(log, (request) => administration.pruneSnapshots(request)),
    collectGarbage: unary(log, (request) => administration.collectGarbage(request)),
    whyKept: unary(log, (request) => administration.whyKept(request)),
    describe: unary(log, (request) => administration.describe(request)),
  }
}
