// What clients can get wrong, or do on purpose: each has its reason and its code, and the daemon goes on.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { connect as connectHttp2 } from "node:http2"
import { connect as connectSocket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { Metadata, type ServiceError, status } from "@grpc/grpc-js"
import {
  encodeKeys,
  GetRequest,
  PipelineRequest,
  partitionOfKey,
  SetRequest,
  varveErrorOf,
} from "@varve/proto"
import { afterAll, beforeAll, test } from "vitest"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, conditionalWrites, failsWith, RawClient, reads, writes } from "./raw-client.ts"

let daemon: TestDaemon
let client: RawClient
let configDirectory: string

const VALUE_BYTES_MAX = 100_000
const MESSAGE_BYTES_MAX = 524_288

const config = `
limits:
  messageBytesMax: ${MESSAGE_BYTES_MAX}
  handshakeSeconds: 1
stores:
  default: { valueBytesMax: ${VALUE_BYTES_MAX} }
  own: { engine: memory, partitioning: explicit, partitions: 2, valueBytesMax: ${VALUE_BYTES_MAX} }
`

beforeAll(async () => {
  configDirectory = await mkdtemp(join(tmpdir(), "varve-config-"))
  await writeFile(join(configDirectory, "varve.yaml"), config)
  daemon = await startDaemon({ flags: ["--config", join(configDirectory, "varve.yaml")] })
  client = new RawClient(daemon.grpc)
})

afterAll(async () => {
  // Whatever the tests did: it is the same process, and it still answers.
  await client.set(bytes("alive"), bytes("yes"))
  deepStrictEqual(await client.get(bytes("alive")), bytes("yes"))
  client.close()
  await daemon.stop()
  await rm(configDirectory, { recursive: true, force: true })
})

const wrongPartition = (key: string): number => (partitionOfKey(bytes(key), 4) + 1) % 4
const big = (count: number): Buffer => Buffer.alloc(count, 7)

test.each<[string, string, number, (client: RawClient) => Promise<unknown>]>([
  ["an empty key", "KEY_EMPTY", status.INVALID_ARGUMENT, (c) => c.get(bytes(""))],
  ["an empty key to set", "KEY_EMPTY", status.INVALID_ARGUMENT, (c) => c.set(bytes(""), bytes("v"))],
  [
    "an empty key among many",
    "KEY_EMPTY",
    status.INVALID_ARGUMENT,
    (c) => c.getMany([bytes("a"), bytes("")]),
  ],
  [
    "a key over 65 535 bytes",
    "KEY_TOO_LARGE",
    status.INVALID_ARGUMENT,
    (c) => c.set(big(65_536), bytes("v")),
  ],
  [
    "a value over the limit",
    "VALUE_TOO_LARGE",
    status.INVALID_ARGUMENT,
    (c) => c.set(bytes("k"), big(VALUE_BYTES_MAX + 1)),
  ],
  [
    "a message over the limit",
    "MESSAGE_TOO_LARGE",
    status.RESOURCE_EXHAUSTED,
    (c) => c.set(bytes("k"), big(MESSAGE_BYTES_MAX + 1)),
  ],
  ["an unknown store", "STORE_UNKNOWN", status.NOT_FOUND, (c) => c.get(bytes("k"), { store: "nowhere" })],
  [
    "a store name with dots",
    "STORE_UNKNOWN",
    status.NOT_FOUND,
    (c) => c.get(bytes("k"), { store: "../default" }),
  ],
  ["a store name with a slash", "STORE_UNKNOWN", status.NOT_FOUND, (c) => c.snapshot(1, { store: "a/b" })],
  [
    "a store named __proto__",
    "STORE_UNKNOWN",
    status.NOT_FOUND,
    (c) => c.get(bytes("k"), { store: "__proto__" }),
  ],
  [
    "a lone surrogate in a name",
    "STORE_UNKNOWN",
    status.NOT_FOUND,
    (c) => c.get(bytes("k"), { store: "\ud800" }),
  ],
  [
    "a very long store name",
    "STORE_UNKNOWN",
    status.NOT_FOUND,
    (c) => c.get(bytes("k"), { store: "é".repeat(50_000) }),
  ],
  [
    "a partition out of range",
    "PARTITION_OUT_OF_RANGE",
    status.OUT_OF_RANGE,
    (c) => c.get(bytes("k"), { partition: 4 }),
  ],
  [
    "a partition out of range to scan",
    "PARTITION_OUT_OF_RANGE",
    status.OUT_OF_RANGE,
    (c) => c.scan({ partition: 9 }),
  ],
  [
    "another's partition",
    "WRONG_PARTITION",
    status.INVALID_ARGUMENT,
    (c) => c.get(bytes("k"), { partition: wrongPartition("k") }),
  ],
  [
    "records of several partitions",
    "PARTITION_REQUIRED",
    status.INVALID_ARGUMENT,
    (c) => c.write(["a", "b", "c", "d", "e"].map((key) => ({ key: bytes(key), value: bytes("v") }))),
  ],
  [
    "a condition on a key of another partition",
    "PARTITION_REQUIRED",
    status.INVALID_ARGUMENT,
    (c) =>
      c.write([{ key: bytes("a"), value: bytes("v") }], {
        expected: ["a", "b", "c", "d", "e"].map((key) => ({ key: bytes(key), value: bytes("") })),
      }),
  ],
  [
    "a condition on another's partition",
    "WRONG_PARTITION",
    status.INVALID_ARGUMENT,
    (c) =>
      c.write([], {
        partition: wrongPartition("k"),
        expected: [{ key: bytes("k"), value: bytes("v") }],
      }),
  ],
  [
    "a condition on a value that is too large",
    "VALUE_TOO_LARGE",
    status.INVALID_ARGUMENT,
    (c) => c.write([], { expected: [{ key: bytes("k"), value: big(VALUE_BYTES_MAX + 1) }] }),
  ],
  [
    "a condition on a key that is empty",
    "KEY_EMPTY",
    status.INVALID_ARGUMENT,
    (c) => c.write([], { expected: [{ key: bytes(""), value: bytes("v") }] }),
  ],
  [
    "no partition in an explicit store",
    "PARTITION_REQUIRED",
    status.INVALID_ARGUMENT,
    (c) => c.get(bytes("k"), { store: "own" }),
  ],
  ["version 0", "VERSION_INVALID", status.INVALID_ARGUMENT, (c) => c.snapshot(0)],
  ["version 2^53", "VERSION_INVALID", status.INVALID_ARGUMENT, (c) => c.snapshot(2n ** 53n)],
  [
    "a version that is not there",
    "SNAPSHOT_NOT_FOUND",
    status.NOT_FOUND,
    (c) => c.restore({ version: 999n }),
  ],
  [
    "a version on no timeline",
    "SNAPSHOT_NOT_FOUND",
    status.NOT_FOUND,
    (c) => c.restore({ version: 1n, timeline: "../x" }),
  ],
  ["nothing to restore", "SNAPSHOT_NOT_FOUND", status.NOT_FOUND, (c) => c.restore({ store: "own" })],
  ["a pin on nothing", "SNAPSHOT_NOT_FOUND", status.NOT_FOUND, (c) => c.pinSnapshot(999, true)],
  [
    "a handle of nothing",
    "REQUEST_INVALID",
    status.INVALID_ARGUMENT,
    (c) => c.restore({ replaced: "nonsense" }),
  ],
  [
    "a handle that is gone",
    "REPLACED_STATE_NOT_FOUND",
    status.NOT_FOUND,
    (c) => c.restore({ replaced: "0=ab" }),
  ],
  [
    "a partition named twice",
    "REQUEST_INVALID",
    status.INVALID_ARGUMENT,
    (c) => c.snapshot(1, { partitions: [1, 1] }),
  ],
  [
    "metadata over 1 MiB",
    "MESSAGE_TOO_LARGE",
    status.RESOURCE_EXHAUSTED,
    (c) => c.snapshot(1, { metadata: big(1024 * 1024 + 1) }),
  ],
  [
    "a snapshot of a state that was replaced",
    "STATE_REPLACED",
    status.FAILED_PRECONDITION,
    (c) => c.snapshot(1, { lineages: { 0: "another" } }),
  ],
])("%s: %s", async (_what, reason, code, call) => {
  const error = await failsWith(reason, call(client))
  strictEqual(error.code, code)
  ok(error.message.length > 0 && Buffer.byteLength(error.message) <= 1024)
})

test("versions ascend: the same one, and a lower one, are refused", async () => {
  await client.snapshot(7)
  await failsWith("VERSION_NOT_ASCENDING", client.snapshot(7))
  await failsWith("VERSION_NOT_ASCENDING", client.snapshot(6, { partitions: [2] }))
})

test("no partition commits when another refuses up front", async () => {
  await client.snapshot(100, { store: "own", partitions: [1] })
  await failsWith("VERSION_NOT_ASCENDING", client.snapshot(50, { store: "own" }))
  const listed = await client.listSnapshots("own")
  deepStrictEqual(
    listed.map(({ version, partitions }) => [version, partitions]),
    [[100n, [1]]],
  )
})

test("a restore refuses snapshots and other restores of its partitions until it is done", async () => {
  await client.set(bytes("busy"), bytes("1"))
  await client.snapshot(8)
  // One stream of calls arrives in order, so the later ones find the restore running.
  const calls = [client.restore({ version: 8n }), client.restore({ version: 8n }), client.snapshot(9)]
  const [first, second, third] = await Promise.allSettled(calls)
  strictEqual(first!.status, "fulfilled")
  deepStrictEqual(
    [second!, third!].map((each) => each.status === "rejected" && (each.reason as { reason: string }).reason),
    ["RESTORE_IN_PROGRESS", "RESTORE_IN_PROGRESS"],
  )
  await client.snapshot(9)
})

test("keys are bytes: __proto__, constructor and every byte value are keys like others", async () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty"].map(bytes)
  const every = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]))
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  for (const key of [...names, ...every, all]) strictEqual(await client.get(key), undefined)
  for (const key of [...names, ...every, all]) await client.set(key, Buffer.concat([bytes("value of "), key]))
  const values = await client.getMany([...names, ...every, all])
  for (const [index, key] of [...names, ...every, all].entries()) {
    deepStrictEqual(Buffer.from(values[index]!), Buffer.concat([bytes("value of "), key]))
  }
})

test("pipeline: a frame's error is its own; the stream goes on", async () => {
  const key = "f"
  const partition = partitionOfKey(bytes(key), 4)
  const raw = (
    work: PipelineRequest["work"],
    more: Partial<PipelineRequest> = {},
  ): Partial<PipelineRequest> => ({
    partition,
    work,
    ...more,
  })
  const answers = await client.pipeline([
    raw(undefined),
    raw({ $case: "writes", value: Buffer.from([5, 5, 0, 1]) }),
    raw({ $case: "reads", value: Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80]) }),
    raw({ $case: "reads", value: writes([key, "no value here"]).value }),
    raw(writes([key, "v"]), { partition: (partition + 1) % 4 }),
    raw(writes([key, "v"]), { partition: 4 }),
    raw(writes([key, "v"]), { store: "nowhere" }),
    raw(writes([key, "v"]), { lineage: "another" }),
    raw(conditionalWrites([[key, "v"]], [])),
    raw(conditionalWrites([[key, "v"]], [[key, ""]]), { partition: (partition + 1) % 4 }),
    raw({
      $case: "conditionalWrites",
      value: { records: writes([key, "v"]).value, expected: Buffer.of(1, 0) },
    }),
    raw({ $case: "writes", value: Buffer.from([1, 1, 0b1000, 1, 1]) }),
    raw({ $case: "reads", value: encodeKeys(Array.from({ length: 65_537 }, () => bytes("f"))) }),
    raw(writes([key, "kept"])),
    raw(reads(key)),
  ])
  const reasons = new Map(
    answers.map(({ id, result }) => [id, result?.$case === "error" ? result.value.reason : result?.$case]),
  )
  deepStrictEqual(
    [...reasons].sort(([a], [b]) => a - b).map(([, reason]) => reason),
    [
      "FRAME_MALFORMED",
      "RECORD_MALFORMED",
      "RECORD_MALFORMED",
      "RECORD_MALFORMED",
      "WRONG_PARTITION",
      "PARTITION_OUT_OF_RANGE",
      "STORE_UNKNOWN",
      "STATE_REPLACED",
      "FRAME_MALFORMED",
      "WRONG_PARTITION",
      "RECORD_MALFORMED",
      "RECORD_MALFORMED",
      "REQUEST_INVALID",
      "written",
      "values",
    ],
  )
  deepStrictEqual(await client.get(bytes(key)), bytes("kept"))
})

test("pipeline: an answer that would not fit a message fails its frame only", async () => {
  const partition = partitionOfKey(bytes("{large}"), 4)
  const keys = [0, 1, 2, 3, 4, 5].map((index) => `{large}${index}`)
  for (const key of keys) await client.set(bytes(key), big(VALUE_BYTES_MAX))
  const answers = await client.pipeline([
    { partition, work: reads(...keys) },
    { partition, work: reads("{large}0") },
  ])
  ok(answers[0]!.result?.$case === "error" && answers[0]!.result.value.reason === "MESSAGE_TOO_LARGE")
  ok(answers[1]!.result?.$case === "values" && answers[1]!.result.value.length > VALUE_BYTES_MAX)
  await failsWith("MESSAGE_TOO_LARGE", client.getMany(keys.map(bytes)))
})

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
  const frame = { id: 1, store: "", partition, lineage: "", work: reads("{slow}") }
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
  stream.write({ id: 0, store: "", partition: 0, lineage: "", work: undefined })
  stream.cancel()
  strictEqual((await cancelled).code, status.CANCELLED)

  // By hand: a well-behaved client gives up by itself, before the server has to.
  const late = await rawCall("Pipeline", undefined, { "grpc-timeout": "50m" })
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
  const { trailers } = await rawCall("Set", frameOf(gzipSync(inflated), 1), { "grpc-encoding": "gzip" })
  strictEqual(trailers["grpc-status"], String(status.UNIMPLEMENTED))
  strictEqual(await client.get(bytes("zip")), undefined)
})

test("bytes that are no message, and a message that is cut off, are the caller's fault", async () => {
  const nonsense = await rawCall("Get", frameOf(Buffer.from([0xff, 0xff, 0xff]), 0))
  strictEqual(nonsense.trailers["grpc-status"], String(status.INVALID_ARGUMENT))
  const whole = frameOf(
    Buffer.from(GetRequest.encode({ store: "", key: bytes("k"), partition: undefined }).finish()),
    0,
  )
  const cut = await rawCall("Get", whole.subarray(0, whole.length - 1))
  strictEqual(cut.trailers["grpc-status"], String(status.INVALID_ARGUMENT))
  ok(cut.trailers["grpc-status-details-bin"] !== undefined)
  const twice = await rawCall("Get", Buffer.concat([whole, whole]))
  strictEqual(twice.trailers["grpc-status"], String(status.INVALID_ARGUMENT))
  const unknown = await rawCall("NoSuchCall", whole)
  strictEqual(unknown.trailers["grpc-status"], String(status.UNIMPLEMENTED))
})

test("a socket that says nothing is closed; one that speaks nonsense too", async () => {
  const socket = connectSocket(Number(daemon.grpc.split(":")[1]), "127.0.0.1")
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  const started = performance.now()
  socket.resume()
  await closed
  const seconds = (performance.now() - started) / 1000
  ok(seconds > 0.5 && seconds < 5, `closed after ${seconds} s`)

  const other = connectSocket(Number(daemon.grpc.split(":")[1]), "127.0.0.1")
  const ended = new Promise<void>((resolve) => other.once("close", () => resolve()))
  other.on("error", () => undefined)
  other.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100))
  other.resume()
  await ended
})

test("health answers, also for a service that is not here", async () => {
  const frame = frameOf(Buffer.from([]), 0)
  const serving = await rawCall("Check", frame, {}, "grpc.health.v1.Health")
  strictEqual(serving.trailers["grpc-status"], "0")
  deepStrictEqual(serving.body.subarray(5), Buffer.from([0x08, 0x01]))
  const unknown = await rawCall(
    "Check",
    frameOf(Buffer.from([0x0a, 1, 0x78]), 0),
    {},
    "grpc.health.v1.Health",
  )
  strictEqual(unknown.trailers["grpc-status"], String(status.NOT_FOUND))
})

test("an error carries google.rpc.ErrorInfo in its trailer", async () => {
  const error = await new Promise<ServiceError | null>((resolve) => {
    client.stub.get({ store: "", key: bytes("k"), partition: 77 }, new Metadata(), (failed) =>
      resolve(failed),
    )
  })
  ok(error !== null && error.metadata.get("grpc-status-details-bin").length === 1)
  strictEqual(varveErrorOf(error).reason, "PARTITION_OUT_OF_RANGE")
})

function frameOf(message: Buffer, compressed: number): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(compressed, 0)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

function requestHeaders(method: string, service = "varve.v1.StateBackend"): Record<string, string> {
  return {
    ":method": "POST",
    ":path": `/${service}/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
  }
}

/** A call by hand, for what a well-behaved client cannot send; without a body it stays open at this end. */
async function rawCall(
  method: string,
  body: Buffer | undefined,
  headers: Record<string, string> = {},
  service = "varve.v1.StateBackend",
): Promise<{ trailers: Record<string, unknown>; body: Buffer }> {
  const session = connectHttp2(`http://${daemon.grpc}`)
  try {
    const stream = session.request({ ...requestHeaders(method, service), ...headers })
    return await new Promise((resolve, reject) => {
      const parts: Buffer[] = []
      let trailers: Record<string, unknown> = {}
      stream.on("response", (received) => {
        if (received["grpc-status"] !== undefined) trailers = { ...received }
      })
      stream.on("trailers", (received) => {
        trailers = { ...received }
      })
      stream.on("data", (part: Buffer) => parts.push(part))
      stream.on("close", () => resolve({ trailers, body: Buffer.concat(parts) }))
      stream.on("end", () => stream.close())
      stream.on("error", reject)
      if (body !== undefined) stream.end(body)
    })
  } finally {
    session.close()
  }
}

test("metadata that would not fit an answer about many versions is left out, and its size is told", async () => {
  const large = 300_000
  const small = bytes("offset 1")
  await client.snapshot(1001, { metadata: big(large) })
  await client.snapshot(1002, { metadata: big(large) })
  for (const { metadata, metadataBytes } of (await client.describe("default")).stores[0]!.partitions) {
    deepStrictEqual([metadata.length, metadataBytes], [0, large])
  }
  await client.snapshot(1003, { metadata: small })
  const listed = (await client.listSnapshots()).filter(({ version }) => version > 1000n)
  deepStrictEqual(
    listed.map(({ version, metadata, metadataBytes }) => [version, metadata.length, metadataBytes]),
    [
      [1001n, 0, large],
      [1002n, 0, large],
      [1003n, small.length, small.length],
    ],
  )
  for (const { metadata } of (await client.describe("default")).stores[0]!.partitions) {
    deepStrictEqual(Buffer.from(metadata), small)
  }
  deepStrictEqual((await client.restore({ version: 1001n })).metadata.length, large)
})
