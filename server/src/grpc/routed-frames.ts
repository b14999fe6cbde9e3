// Frames of a pipeline, each to the shard that owns its partition. The port to another shard keeps order, as the
// pipeline does.

import { type PipelineRequest, type PipelineResponse, VarveError } from "@varve/proto"
import type { Peer } from "../shard/peer.ts"
import type { Frames, FrameTarget } from "./frame.ts"
import { notHandedOver } from "./session-frames.ts"

type Result = NonNullable<PipelineResponse["result"]>

export class RoutedFrames {
  readonly #frames: Frames

  constructor(frames: Frames) {
    this.#frames = frames
  }

  /** @throws VarveError `STORE_UNKNOWN`, `PARTITION_OUT_OF_RANGE` */
  target(frame: PipelineRequest): FrameTarget {
    return this.#frames.target(frame)
  }

  /** As `Frames.apply`; @throws also what `Peer.call` does */
  apply(target: FrameTarget, frame: PipelineRequest, admit: () => void): Result | Promise<Result> {
    const { owner } = target.partition
    return owner === undefined
      ? this.#frames.apply(target, frame, admit)
      : handOver(owner, frame, admit).then(({ result }) => {
          if (result !== undefined) return result
          throw new VarveError("INTERNAL", `shard ${owner.index} answered a frame with nothing`)
        })
  }
}

function handOver(owner: Peer, frame: PipelineRequest, admit: () => void): Promise<PipelineResponse> {
  try {
    admit()
    return owner.call("frame", frame)
  } catch (error) {
    throw notHandedOver(frame, error)
  }
}
