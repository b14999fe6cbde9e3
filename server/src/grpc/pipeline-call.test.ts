// How much one pipeline may pile up whose client does not read: on a stream that counts, and takes nothing.

import { ok, strictEqual } from "node:assert"
import { EventEmitter } from "node:events"
import { Metadata } from "@grpc/grpc-js"
import type { PipelineRequest, PipelineResponse } from "@varve/proto"
import { test } from "vitest"
import { logTo } from "../log.ts"
import { Peer } from "../shard/peer.ts"
import { PEER_CALL_BYTES } from "../shard/peer-port.ts"
import type { ShardPartition } from "../shard/shard-store.ts"
import { Admission } from "./admission.ts"
import type { FrameTarget } from "./frame.ts"
import { Inflight } from "./inflight.ts"
import { type PipelineHost, pipelineCall } from "./pipeline-call.ts"

const STREAM_BYTES_MAX = 10_000
const ANSWER_BYTES = 1000

type Result = NonNullable<PipelineResponse["result"]>

const values: Result = { $case: "values", value: new Uint8Array(ANSWER_BYTES) }

/** The server's end of a stream; its client takes an answer when it is told to. */
class IdleStream extends EventEmitter {
  readonly metadata = new Metadata()
  cancelled = false
  isPaused = false
  readonly answers: { readonly response: PipelineResponse; readonly taken: () => void }[] = []

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  write(response: PipelineResponse, taken: () => void): void {
    this.answers.push({ response, taken })
  }

  /** As flow control would: nothing comes while the stream is paused. Says how many frames were taken. */
  offer(
    work: NonNullable<PipelineRequest["work"]>["$case"],
    count: number,
    value = new Uint8Array(10),
  ): number {
    let id = 0
    while (id < count && !this.isPaused) {
      this.emit("data", { id: id++, work: { $case: work, value } })
    }
    return id
  }
}

/** @param owner the other shard that has the partition */
function open(
  apply: (frame: PipelineRequest) => Result | Promise<Result>,
  owner?: Peer,
): {
  stream: IdleStream
  inflight: Inflight
  done: Promise<void>
} {
  const stream = new IdleStream()
  const inflight = new Inflight(1_000_000)
  const target = { partition: { owner } as ShardPartition } as FrameTarget
  const host: PipelineHost = {
    frames: {
      target: () => target,
      apply: (_target, frame) => apply(frame),
    },
    inflight,
    pipelines: new Inflight(inflight.bytesMax / 2),
    admission: new Admission(),
    streamInflightBytesMax: STREAM_BYTES_MAX,
    log: logTo(() => undefined),
  }

  const call = stream as unknown as Parameters<ReturnType<typeof pipelineCall>>[0]
  return { stream, inflight, done: pipelineCall(host)(call) }
}

test("pipeline: reads that wait for another shard or the disk are few, however small they are", async () => {
  const waiting: (() => void)[] = []
  const { stream, inflight, done } = open(() => new Promise((resolve) => waiting.push(() => resolve(values))))
  const taken = stream.offer("reads", 100)
  ok(taken <= 16, `${taken} reads wait for answers of any size`)
  for (const answer of waiting.splice(0)) answer()
  await new Promise((resolve) => setImmediate(resolve))
  strictEqual(stream.isPaused, true, "the client has taken none of the answers")
  for (const { taken } of stream.answers.splice(0)) taken()
  strictEqual(stream.isPaused, false)
  strictEqual(inflight.bytes, 0)
  stream.emit("cancelled")
  await done
})

test("pipeline: writes that wait for another shard count with what each holds there, and are held back in time", async () => {
  const { stream, inflight, done } = open(() => new Promise(() => undefined), new Peer(1))
  const taken = stream.offer("writes", 1000)
  ok(taken <= STREAM_BYTES_MAX / PEER_CALL_BYTES + 1, `${taken} writes wait`)
  strictEqual(stream.answers.length, 0)
  stream.emit("cancelled")
  await done
  strictEqual(inflight.bytes, 0)
})

test("pipeline: operations that ask for values are few while they wait, those that only write are bounded by their bytes", async () => {
  const streams = [Uint8Array.of(1, 0, 0x80, 97), Uint8Array.of(1, 0, 0, 97)].map((value) => {
    const { stream, done } = open(() => new Promise(() => undefined))
    const taken = stream.offer("operations", 1000, value)
    stream.emit("cancelled")
    return done.then(() => taken)
  })
  const [reading = 0, writing = 0] = await Promise.all(streams)
  ok(reading <= 16, `${reading} that read`)
  ok(writing > 100 && writing <= STREAM_BYTES_MAX / 64 + 1, `${writing} that write`)
})

test("pipeline: answers that wait for a slow one before them count, too", async () => {
  const { stream, inflight, done } = open(({ work }) =>
    work?.$case === "writes" ? new Promise(() => undefined) : values,
  )
  strictEqual(stream.offer("writes", 1), 1)
  const taken = stream.offer("reads", 1000)
  ok(taken <= STREAM_BYTES_MAX / ANSWER_BYTES + 1, `${taken} answers wait`)
  strictEqual(stream.answers.length, 0)
  stream.cancelled = true
  stream.emit("cancelled")
  await done
  strictEqual(inflight.bytes, 0)
})
