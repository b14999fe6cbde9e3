// What this shard does for another one: the calls of the contract on its own partitions, under its own limits.

import type { PipelineRequest, PipelineResponse, ScanRequest, ScanResponse } from "@varve/proto"
import type { PeerHandlers } from "../shard/peer-service.ts"
import type { ShardStore } from "../shard/shard-store.ts"
import type { Stores } from "../shard/stores.ts"
import type { Admission } from "./admission.ts"
import type { Frames } from "./frame.ts"
import { frameBytes } from "./frame-bytes.ts"
import type { Inflight } from "./inflight.ts"
import type { PointCalls } from "./point-calls.ts"
import { pagesOf } from "./scan-pages.ts"

export interface ForeignHost {
  readonly stores: Stores<ShardStore>
  readonly points: PointCalls
  readonly frames: Pick<Frames, "target" | "apply">
  readonly admission: Admission
  readonly inflight: Inflight
}

export function serveForeign({ stores, points, frames, admission, inflight }: ForeignHost): PeerHandlers {
  const admitted = <Request, Response>(
    work: (request: Request) => Response,
  ): ((request: Request) => Response) => {
    return (request) => {
      admission.check()
      return work(request)
    }
  }
  const frame = (request: PipelineRequest): PipelineResponse | Promise<PipelineResponse> => {
    const { id } = request
    const result = frames.apply(frames.target(request), request, () => inflight.check())
    if (!(result instanceof Promise)) return { id, result }
    return inflight.during(
      frameBytes(request),
      result.then((late) => ({ id, result: late })),
    )
  }
  async function* scan(request: ScanRequest): AsyncGenerator<ScanResponse, void, void> {
    admission.check()
    const partition = stores.get(request.store).partition(request.partition ?? 0)
    for await (const records of pagesOf(partition, request))
      yield { partition: partition.index, records: [...records] }
  }
  return {
    get: admitted((request) => points.get(request)),
    set: admitted((request) => points.set(request)),
    delete: admitted((request) => points.delete(request)),
    getMany: admitted((request) => points.getMany(request)),
    write: admitted((request) => points.write(request)),
    frame: admitted(frame),
    scan,
  }
}
