// Sends frames over pipelines, one frame on its way per client, and takes the time of each.

import { type ClientDuplexStream, Metadata } from "@grpc/grpc-js"
import {
  type PipelineRequest,
  type PipelineResponse,
  UNSEQUENCED,
  VarveError,
  varveErrorOf,
} from "@varve/proto"
import { isServiceError, openStub } from "./daemon-connection.ts"
import { Latencies } from "./latencies.ts"
import type { Frame } from "./load-plan.ts"

export interface LoadResult {
  readonly seconds: number
  readonly records: { readonly reads: number; readonly writes: number }
  /** Of frames, in milliseconds. */
  readonly latencies: { readonly reads: Latencies; readonly writes: Latencies }
}

interface Target {
  readonly address: string
  readonly store: string
}

/**
 * Sends `frameCount` frames, `frames` in turn, over `clients` streams; fewer when `signal` aborts meanwhile.
 * @throws (rejects) VarveError: the first error of any stream or frame ends the load
 */
export async function runLoad(
  target: Target,
  frames: readonly Frame[],
  { frameCount, clients, signal }: { frameCount: number; clients: number; signal?: AbortSignal },
): Promise<LoadResult> {
  const records = { reads: 0, writes: 0 }
  const latencies = { reads: new Latencies(frameCount), writes: new Latencies(frameCount) }
  let next = 0
  const started = performance.now()
  const loops = Array.from({ length: Math.min(clients, frameCount) }, async () => {
    const pipeline = new LoadPipeline(target)
    try {
      for (let index = next++; index < frameCount && signal?.aborted !== true; index = next++) {
        const frame = frames[index % frames.length]!
        const sent = performance.now()
        await pipeline.exchange(index, frame)
        latencies[frame.kind].add(performance.now() - sent)
        records[frame.kind] += frame.records
      }
    } catch (error) {
      next = frameCount // the other loops end with the frame they have sent
      throw error
    } finally {
      pipeline.close()
    }
  })
  const outcomes = await Promise.allSettled(loops)
  const failed = outcomes.find((outcome) => outcome.status === "rejected")
  if (failed !== undefined) throw failed.reason
  return { seconds: (performance.now() - started) / 1000, records, latencies }
}

/** One stream on a connection of its own; one frame at a time. */
class LoadPipeline {
  readonly #store: string
  readonly #stub: ReturnType<typeof openStub>
  readonly #stream: ClientDuplexStream<PipelineRequest, PipelineResponse>
  #waiting: { resolve: (answer: PipelineResponse) => void; reject: (error: unknown) => void } | undefined
  #failure: unknown

  constructor({ address, store }: Target) {
    this.#store = store
    this.#stub = openStub(address)
    this.#stream = this.#stub.pipeline(new Metadata())
    this.#stream.on("data", (answer: PipelineResponse) => this.#waiting?.resolve(answer))
    this.#stream.on("error", (error) => this.#fail(isServiceError(error) ? varveErrorOf(error) : error))
    this.#stream.on("end", () =>
      this.#fail(new VarveError("CONNECTION_LOST", "the daemon ended the pipeline")),
    )
  }

  /** Sends a frame and waits for its answer. */
  async exchange(id: number, { partition, kind, bytes }: Frame): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    const answer = new Promise<PipelineResponse>((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
    const work = { $case: kind, value: bytes }
    this.#stream.write({ id, store: this.#store, partition, work, lineage: "", ...UNSEQUENCED })
    const { result } = await answer
    if (result?.$case === "error") {
      const { reason, message, code } = result.value
      throw new VarveError(reason, message, { code })
    }
  }

  close(): void {
    this.#stream.end()
    this.#stub.close()
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#waiting?.reject(error)
  }
}
