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

  /**
   * As flow control would: nothing comes while the stream is paused. Resolves when that outlasts a turn of the event
   * loop, or all were taken; says how many were.
   */
  async offer(
    work: NonNullable<PipelineRequest["work"]>["$case"],
    count: number,
    value = new Uint8Array(10),
  ): Promise<number> {
    let id = 0
    for (;;) {
      id += this.offerInOneTurn(work, count - id, value, id)
      if (id === count) return id
      await new Promise((resolve) => setImmediate(resolve))
      if (this.isPaused) return id
    }
  }

  /** Says how many frames were taken before the stream was paused. */
  offerInOneTurn(
    work: NonNullable<PipelineRequest["work"]>["$case"],
    count: number,
    value = new Uint8Array(10),
    firstId = 0,
  ): number {
    let taken = 0
    while (taken < count && !this.isPaused) {
      this.emit("data", { id: firstId + taken++, work: { $case: work, value } })
    }
    return taken
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
  const taken = await stream.offer("reads", 100)
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
  const taken = await stream.offer("writes", 1000)
  ok(taken <= STREAM_BYTES_MAX / PEER_CALL_BYTES + 1, `${taken} writes wait`)
  strictEqual(stream.answers.length, 0)
  stream.emit("cancelled")
  await done
  strictEqual(inflight.bytes, 0)
})

test("pipeline: operations that ask for values are few while they wait, those that only write are bounded by their bytes", async () => {
  const streams = [Uint8Array.of(1, 0, 0x80, 97), Uint8Array.of(1, 0, 0, 97)].map(async (value) => {
    const { stream, done } = open(() => new Promise(() => undefined))
    const taken = await stream.offer("operations", 1000, value)
    stream.emit("cancelled")
    await done
    return taken
  })
  const [reading = 0, writing = 0] = await Promise.all(streams)
  ok(reading <= 16, `${reading} that read`)
  ok(writing > 100 && writing <= STREAM_BYTES_MAX / 64 + 1, `${writing} that write`)
})

test("pipeline: answers that wait for a slow one before them count, too", async () => {
  const { stream, inflight, done } = open(({ work }) =>
    work?.$case === "writes" ? new Promise(() => undefined) : values,
  )
  strictEqual(await stream.offer("writes", 1), 1)
  const taken = await stream.offer("reads", 1000)
  ok(taken <= STREAM_BYTES_MAX / ANSWER_BYTES + 1, `${taken} answers wait`)
  strictEqual(stream.answers.length, 0)
  stream.cancelled = true
  stream.emit("cancelled")
  await done
  strictEqual(inflight.bytes, 0)
})

test("pipeline: frames that lie ready are not all taken in one turn: answers go out between", async () => {
  const { stream, done } = open(() => ({ $case: "written", value: 1 }))
  const value = new Uint8Array(300)
  const counts: number[] = []
  for (let left = 100; left > 0; left -= counts.at(-1)!) {
    counts.push(stream.offerInOneTurn("writes", left, value))
    strictEqual(stream.answers.length, counts.at(-1), "all that was taken is answered")
    for (const { taken } of stream.answers.splice(0)) taken()
    ok(stream.isPaused || left === counts.at(-1), "what was answered is on its way before more is taken")
    await new Promise((resolve) => setImmediate(resolve))
  }
  ok(Math.max(...counts) < 10, `at most ${Math.max(...counts)} in a turn`)
  stream.emit("cancelled")
  await done
})
