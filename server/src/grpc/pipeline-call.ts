// Pipeline: frames are applied the moment they come; answers go out in order within a partition. What one stream
// may pile up (frames without an answer, answers that the client has not taken) is bounded: above the limit the
// daemon stops reading, and flow control reaches the client.
//
// Frames that lie ready are not all taken in one turn of the event loop: after some work their answers go out, and the next
// turn takes the others. So the client reads its first answers while the daemon works on the next frames; otherwise the
// two would work by turns, each waiting for all of the other's work. And other streams get their turn between.

import type { ServerDuplexStream } from "@grpc/grpc-js"
import type { FrameError, PipelineRequest, PipelineResponse } from "@varve/proto"
import type { Log } from "../log.ts"
import { PEER_CALL_BYTES } from "../shard/peer-port.ts"
import type { ShardPartition } from "../shard/shard-store.ts"
import type { Admission } from "./admission.ts"
import { AnswerOrder, type AnswerSlot } from "./answer-order.ts"
import { CallGuard } from "./call-guard.ts"
import { failureOf } from "./failure.ts"
import type { Frames, FrameTarget } from "./frame.ts"
import { answerBytes, frameBytes } from "./frame-bytes.ts"
import type { Inflight } from "./inflight.ts"
import { hasReads } from "./operation-plan.ts"

type PipelineStream = ServerDuplexStream<PipelineRequest, PipelineResponse>
type Result = NonNullable<PipelineResponse["result"]>

/**
 * What one stream may hold while all of them hold more than their part: refusals are answers too, and a client that takes
 * none of them must not go on.
 */
const STREAM_SHARE_BYTES = 16 * 1024
/** Bytes of frames and answers after which a stream's turn is over. */
const TURN_BYTES = 1024
/**
 * Reads of one stream that wait for the disk or another shard. Nobody knows how large their answers will be: at so
 * many the daemon stops reading, too.
 */
const PENDING_READS_MAX = 16
/**
 * A stream on which nothing comes for this long while the daemon goes down is ended. A client that is busy sends
 * within it, learns that its frames were not taken, and leaves by itself, knowing the fate of each.
 */
const QUIET_MS = 100

export interface PipelineHost {
  readonly frames: Pick<Frames, "target" | "apply">
  readonly inflight: Inflight
  /** Of `inflight`, what pipelines hold: they leave room for others. */
  readonly pipelines: Inflight
  readonly admission: Admission
  readonly streamInflightBytesMax: number
  readonly log: Log
}

/** The handler of `Pipeline`; resolves when the client has ended its side and every frame is answered. */
export function pipelineCall(host: PipelineHost): (call: PipelineStream) => Promise<void> {
  return (call) => new Pipeline(host, call).run()
}

class Pipeline {
  readonly #host: PipelineHost
  readonly #call: PipelineStream
  readonly #guard: CallGuard | undefined
  readonly #orders = new Map<ShardPartition, AnswerOrder<PipelineResponse>>()
  #inflightBytes = 0
  #pendingReads = 0
  #unanswered = 0
  #ended = false
  #isOver = false
  #reading = true
  /** Of this turn of the event loop. */
  #turnBytes = 0
  #isTurnOver = false
  #isDraining = false
  #quiet: NodeJS.Timeout | undefined
  #finish: () => void = () => undefined
  readonly #nextTurn = (): void => {
    this.#isTurnOver = false
    this.#turnBytes = 0
    if (this.#reading) this.#call.resume()
  }
  readonly #admit = (): void => this.#host.inflight.check()

  constructor(host: PipelineHost, call: PipelineStream) {
    this.#host = host
    this.#call = call
    this.#guard = CallGuard.of(call.metadata)
  }

  async run(): Promise<void> {
    const forget = this.#host.admission.onClose(() => this.#waitForQuiet())
    await new Promise<void>((resolve) => {
      this.#finish = resolve
      this.#call.on("data", (frame: PipelineRequest) => this.#take(frame))
      this.#call.on("end", () => {
        this.#ended = true
        this.#finishWhenDone()
      })
      this.#call.on("cancelled", resolve)
    })
    forget()
    clearTimeout(this.#quiet)
    // What was not written in the end is no longer in flight.
    this.#host.inflight.remove(this.#inflightBytes)
    this.#host.pipelines.remove(this.#inflightBytes)
    this.#inflightBytes = 0
    this.#ended = true
    this.#isOver = true
  }

  #take(frame: PipelineRequest): void {
    if (this.#call.cancelled || this.#ended) return
    if (this.#quiet !== undefined) this.#waitForQuiet()
    const bytes = frameBytes(frame)
    this.#unanswered++
    this.#spend(bytes)
    let target: FrameTarget
    try {
      target = this.#host.frames.target(frame)
    } catch (error) {
      // It is no partition's, so there is no order to keep.
      this.#answer(this.#held(this.#failure(frame.id, error)))
      return
    }
    const order = this.#orderOf(target.partition)
    try {
      this.#host.admission.check()
      const result = this.#host.frames.apply(target, frame, this.#admit)
      if (result instanceof Promise) {
        const isRead = holdsReads(frame.work)
        if (isRead) this.#pendingReads++
        const heldBytes = target.partition.owner === undefined ? bytes : bytes + PEER_CALL_BYTES
        this.#hold(heldBytes)
        this.#later(frame.id, result, order, order.take(), heldBytes, isRead)
      } else {
        this.#now(order, { id: frame.id, result })
      }
    } catch (error) {
      this.#now(order, this.#failure(frame.id, error))
    }
  }

  /** Counts work of this turn, and ends the turn when it was enough. */
  #spend(bytes: number): void {
    this.#turnBytes += bytes
    if (this.#turnBytes < TURN_BYTES || this.#isTurnOver) return
    this.#isTurnOver = true
    this.#call.pause()
    setImmediate(this.#nextTurn)
  }

  #waitForQuiet(): void {
    clearTimeout(this.#quiet)
    this.#quiet = setTimeout(() => {
      this.#isDraining = true
      this.#finishWhenDone()
    }, QUIET_MS)
  }

  #now(order: AnswerOrder<PipelineResponse>, response: PipelineResponse): void {
    this.#held(response)
    this.#spend(answerBytes(response))
    if (order.isEmpty) this.#answer(response)
    else order.fill(order.take(), response)
  }

  #later(
    id: number,
    pending: Promise<Result>,
    order: AnswerOrder<PipelineResponse>,
    slot: AnswerSlot<PipelineResponse>,
    heldBytes: number,
    isRead: boolean,
  ): void {
    const settle = (response: PipelineResponse): void => {
      // The answer is held before its read is not pending any more.
      order.fill(slot, this.#held(response))
      if (isRead) this.#pendingReads--
      this.#release(heldBytes)
    }
    pending.then(
      (result) => settle({ id, result }),
      (error: unknown) => settle(this.#failure(id, error)),
    )
  }

  #orderOf(partition: ShardPartition): AnswerOrder<PipelineResponse> {
    let order = this.#orders.get(partition)
    if (order === undefined) {
      order = new AnswerOrder((response) => this.#answer(response))
      this.#orders.set(partition, order)
    }
    return order
  }

  #answer(response: PipelineResponse): void {
    this.#unanswered--
    if (this.#call.cancelled) return
    const bytes = answerBytes(response)
    this.#call.write(response, () => this.#release(bytes))
    this.#finishWhenDone()
  }

  /** The answer, which counts from now on: also while it waits for those before it. */
  #held(response: PipelineResponse): PipelineResponse {
    this.#hold(answerBytes(response))
    return response
  }

  #failure(id: number, error: unknown): PipelineResponse {
    const { code, reason, message } = failureOf(error, this.#host.log)
    const value: FrameError = { code, reason, message }
    return { id, result: { $case: "error", value } }
  }

  /** What this stream may hold now. */
  get #bytesMax(): number {
    const { pipelines, streamInflightBytesMax } = this.#host
    return pipelines.isFull ? STREAM_SHARE_BYTES : streamInflightBytesMax
  }

  #hold(bytes: number): void {
    if (this.#isOver) return
    this.#inflightBytes += bytes
    this.#host.inflight.add(bytes)
    this.#host.pipelines.add(bytes)
    const isFull = this.#inflightBytes > this.#bytesMax || this.#pendingReads >= PENDING_READS_MAX
    if (this.#reading && isFull) {
      this.#reading = false
      this.#call.pause()
      this.#guard?.pauseReading()
    }
  }

  #release(bytes: number): void {
    if (this.#inflightBytes === 0) return // The stream is over and gave all back at once.
    this.#inflightBytes -= bytes
    this.#host.inflight.remove(bytes)
    this.#host.pipelines.remove(bytes)
    const hasRoom = this.#inflightBytes <= this.#bytesMax / 2 && this.#pendingReads <= PENDING_READS_MAX / 2
    if (!this.#reading && hasRoom) {
      this.#reading = true
      this.#guard?.resumeReading()
      if (!this.#isTurnOver) this.#call.resume()
    }
  }

  #finishWhenDone(): void {
    if (!(this.#ended || this.#isDraining) || this.#unanswered > 0) return
    this.#ended = true
    this.#finish()
  }
}

function holdsReads(work: PipelineRequest["work"]): boolean {
  return work?.$case === "reads" || (work?.$case === "operations" && hasReads(work.value))
}
