// The service varve.v1.StateBackend: every call of the contract with its handler, each in the one wrapper. A call goes
// to the shard that owns its partition; administrative ones go to main, which sees all shards.

import type { handleUnaryCall } from "@grpc/grpc-js"
import type { StateBackendServer } from "@varve/proto"
import type { Settings } from "../config/settings.ts"
import type { Log } from "../log.ts"
import type { OperationMetrics } from "../metrics/operation-metrics.ts"
import type { AdministrativeCalls } from "../shard/administrative-calls.ts"
import type { PeerHandlers } from "../shard/peer-service.ts"
import type { ShardStore } from "../shard/shard-store.ts"
import type { Stores } from "../shard/stores.ts"
import type { Admission } from "./admission.ts"
import { CallLimit } from "./call-limit.ts"
import { ForeignCalls } from "./foreign-calls.ts"
import { Frames } from "./frame.ts"
import { duplexStream, serverStream, unary } from "./handlers.ts"
import { Inflight } from "./inflight.ts"
import { pipelineCall } from "./pipeline-call.ts"
import { PointCalls } from "./point-calls.ts"
import { RoutedFrames } from "./routed-frames.ts"
import { scanCall } from "./scan-call.ts"
import { serveForeign } from "./serve-foreign.ts"

export interface StateBackendParts {
  readonly settings: Pick<Settings, "limits">
  readonly stores: Stores<ShardStore>
  readonly administration: AdministrativeCalls
  readonly operations: OperationMetrics
  readonly inflight: Inflight
  readonly admission: Admission
  readonly log: Log
}

/** Each waits for main, and holds its request. */
const ADMINISTRATIVE_CALLS_MAX = 64
/** Of what may be in flight: others are answered, too, when pipelines hold all that they may. */
const PIPELINES_PART = 2
/** Of an answer besides its values: tags, lengths, ids. */
const ANSWER_OVERHEAD_BYTES = 1024

/** The handlers of the service, and of what other shards hand on. */
export function stateBackend(parts: StateBackendParts): {
  backend: StateBackendServer
  foreign: PeerHandlers
} {
  const { stores, administration, operations, inflight, admission, log } = parts
  const { messageBytesMax, streamInflightBytesMax } = parts.settings.limits
  const answerBytesMax = messageBytesMax - ANSWER_OVERHEAD_BYTES
  const points = new PointCalls(stores, operations, inflight, answerBytesMax)
  const others = new ForeignCalls(stores, inflight, answerBytesMax)
  const own = new Frames(stores, operations, answerBytesMax, log)
  const frames = new RoutedFrames(own)
  const pipelines = new Inflight(inflight.bytesMax / PIPELINES_PART)
  const few = new CallLimit("administrative calls", ADMINISTRATIVE_CALLS_MAX)
  const administrative = <Request, Response>(
    work: (request: Request) => Promise<Response>,
  ): handleUnaryCall<Request, Response> => unary(log, (request) => few.during(() => work(request)))
  const backend: StateBackendServer = {
    get: unary(log, (request, until) => others.point("get", request, until) ?? points.get(request)),
    set: unary(log, (request, until) => others.point("set", request, until) ?? points.set(request)),
    delete: unary(log, (request, until) => others.point("delete", request, until) ?? points.delete(request)),
    getMany: unary(log, (request, until) => {
      return others.getMany(request, (part) => points.getMany(part), until) ?? points.getMany(request)
    }),
    write: unary(log, (request, until) => others.write(request, until) ?? points.write(request)),
    scan: serverStream(log, scanCall(stores, operations, inflight)),
    pipeline: duplexStream(
      log,
      pipelineCall({ frames, inflight, pipelines, admission, streamInflightBytesMax, log }),
    ),
    snapshot: administrative((request) => administration.snapshot(request)),
    restore: administrative((request) => administration.restore(request)),
    listSnapshots: administrative((request) => administration.listSnapshots(request)),
    deleteSnapshot: administrative((request) => administration.deleteSnapshot(request)),
    pinSnapshot: administrative((request) => administration.pinSnapshot(request)),
    pruneSnapshots: administrative((request) => administration.pruneSnapshots(request)),
    collectGarbage: administrative((request) => administration.collectGarbage(request)),
    whyKept: administrative((request) => administration.whyKept(request)),
    drillStore: administrative((request) => administration.drillStore(request)),
    describe: administrative((request) => administration.describe(request)),
  }
  return { backend, foreign: serveForeign({ stores, points, frames: own, admission, inflight }) }
}
