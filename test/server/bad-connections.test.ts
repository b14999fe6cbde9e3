// Connections and streams that do not keep to the rules, or do not go on: each is told or closed, and costs the others
// nothing.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { connect as connectHttp2 } from "node:http2"
import { connect as connectSocket } from "node:net"
import { gzipSync } from "node:zlib"
import { type ServiceError, status } from "@grpc/grpc-js"
import { GetRequest, PipelineRequest, partitionOfKey, SetRequest, UNSEQUENCED } from "@varve/proto"
import { afterAll, beforeAll, test } from "vitest"
import { LimitedDaemon, VALUE_BYTES_MAX } from "./limited-daemon.ts"
import { bytes, type RawClient, reads } from "./raw-client.ts"
import { frameOf, rawCall, requestHeaders } from "./raw-http2.ts"

let daemon: LimitedDaemon
let client: RawClient

beforeAll(async () => {
  daemon = await LimitedDaemon.start()
  client = daemon.client
})
afterAll(() => daemon.stop())

const big = (count: number): Buffer => Buffer.alloc(count, 7)

/** The gauge's value, once it is `begun` and has been the same three times in a row. */
async function settledGauge(name: string, begun: (value: number) => boolean): Promise<number> {
  let last = Number.NaN
  for (let same = 0; same < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    const metrics = await (await fetch(`${daemon.http}/metrics`)).text()
    const value = Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)![1])
    same = value === last && begun(value) ? same + 1 : 0
    last = value
  }
  return last
}

test("pipeline: a client that never reads stops being read, and costs the others nothing", async () => {
  const partition = partitionOfKey(bytes("{slow}"), 4)
  await client.set(bytes("{slow}"), big(VALUE_BYTES_MAX))
  const frame = { id: 1, store: "", partition, lineage: "", ...UNSEQUENCED, work: reads("{slow}") }
  const request = frameOf(Buffer.from(PipelineRequest.encode(frame).finish()), 0)
  // grpc-js would take all answers into memory, read or not: this client is made by hand.
  const session = connectHttp2(`http://${daemon.grpc}`)
  const stream = session.request(requestHeaders("Pipeline"))
  stream.on("error", () => undefined)
  stream.pause()
  // 400 answers are 40 MB, ten times what one pipeline may hold.
  for (let sent = 0; sent < 400; sent++) stream.write(request)
  const inflight = await settledGauge("varve_inflight_bytes", (value) => value > 1_000_000)
  ok(inflight < 8_000_000, `${inflight} bytes in flight`)
  deepStrictEqual(await client.get(bytes("{slow}")), big(VALUE_BYTES_MAX))
  let received = 0
  stream.resume()
  await new Promise<void>((resolve) => {
    stream.on("data", (part: Buffer) => {
      received += part.length
      if (received >= 400 * VALUE_BYTES_MAX) resolve()
    })
  })
  session.destroy()
})

test("a cancelled call and a passed deadline leave nothing behind", async () => {
  const stream = client.stub.pipeline()
  const cancelled = new Promise<ServiceError>((resolve) => stream.on("error", resolve))
  stream.write({ id: 0, store: "", partition: 0, lineage: "", ...UNSEQUENCED, work: undefined })
  stream.cancel()
  strictEqual((await cancelled).code, status.CANCELLED)

  // By hand: a well-behaved client gives up by itself, before the server has to.
  const late = await rawCall(daemon.grpc, "Pipeline", undefined, { "grpc-timeout": "50m" })
  strictEqual(late.trailers["grpc-status"], String(status.DEADLINE_EXCEEDED))
  ok(late.trailers["grpc-status-details-bin"] !== undefined)
})

test("a compressed request is refused before it is inflated", async () => {
  // Inflated it would be a good request.
  const inflated = SetRequest.encode({
    store: "",
    key: bytes("zip"),
    value: big(60_000),
    partition: undefined,
  }).finish()
  const { trailers } = await rawCall(daemon.grpc, "Set", frameOf(gzipSync(inflated), 1), {
    "grpc-encoding": "gzip",
  })
  strictEqual(trailers["grpc-status"], String(status.UNIMPLEMENTED))
  strictEqual(await client.get(bytes("zip")), undefined)
})

test("bytes that are no message, and a message that is cut off, are the caller's fault", async () => {
  const nonsense = await rawCall(daemon.grpc, "Get", frameOf(Buffer.from([0xff, 0xff, 0xff]), 0))
  strictEqual(nonsense.trailers["grpc-status"], String(status.INVALID_ARGUMENT))
  const whole = frameOf(
    Buffer.from(GetRequest.encode({ store: "", key: bytes("k"), partition: undefined }).finish()),
    0,
  )
  const cut = await rawCall(daemon.grpc, "Get", whole.subarray(0, whole.length - 1))
  strictEqual(cut.trailers["grpc-status"], String(status.INVALID_ARGUMENT))
  ok(cut.trailers["grpc-status-details-bin"] !== undefined)
  const twice = await rawCall(daemon.grpc, "Get", Buffer.concat([whole, whole]))
  strictEqual(twice.trailers["grpc-status"], String(status.INVALID_ARGUMENT))
  const unknown = await rawCall(daemon.grpc, "NoSuchCall", whole)
  strictEqual(unknown.trailers["grpc-status"], String(status.UNIMPLEMENTED))
})

test("a socket that says nothing is closed; one that speaks nonsense too", async () => {
  const socket = connectSocket(Number(daemon.grpc.split(":")[1]), "127.0.0.1")
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  const started = performance.now()
  socket.resume()
  await closed
  const seconds = (performance.now() - started) / 1000
  ok(seconds > 0.5, `closed after ${seconds} s`)

  const other = connectSocket(Number(daemon.grpc.split(":")[1]), "127.0.0.1")
  const ended = new Promise<void>((resolve) => other.once("close", () => resolve()))
  other.on("error", () => undefined)
  other.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100))
  other.resume()
  await ended
})

test("health answers, also for a service that is not here", async () => {
  const frame = frameOf(Buffer.from([]), 0)
  const serving = await rawCall(daemon.grpc, "Check", frame, {}, "grpc.health.v1.Health")
  strictEqual(serving.trailers["grpc-status"], "0")
  deepStrictEqual(serving.body.subarray(5), Buffer.from([0x08, 0x01]))
  const unknown = await rawCall(
    daemon.grpc,
    "Check",
    frameOf(Buffer.from([0x0a, 1, 0x78]), 0),
    {},
    "grpc.health.v1.Health",
  )
  strictEqual(unknown.trailers["grpc-status"], String(status.NOT_FOUND))
})
