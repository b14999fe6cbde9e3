// What callers can get wrong, or do on purpose: each has its reason and its code, and the daemon goes on.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { Metadata, type ServiceError, status } from "@grpc/grpc-js"
import { encodeKeys, type PipelineRequest, partitionOfKey, varveErrorOf } from "@varve/proto"
import { afterAll, beforeAll, test } from "vitest"
import { LimitedDaemon, MESSAGE_BYTES_MAX, VALUE_BYTES_MAX } from "./limited-daemon.ts"
import { bytes, conditionalWrites, failsWith, type RawClient, reads, writes } from "./raw-client.ts"

let daemon: LimitedDaemon
let client: RawClient

beforeAll(async () => {
  daemon = await LimitedDaemon.start()
  client = daemon.client
})
afterAll(() => daemon.stop())

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
      "RECORD_FLAGS_UNSUPPORTED",
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

test("an error carries google.rpc.ErrorInfo in its trailer", async () => {
  const error = await new Promise<ServiceError | null>((resolve) => {
    client.stub.get({ store: "", key: bytes("k"), partition: 77 }, new Metadata(), (failed) =>
      resolve(failed),
    )
  })
  ok(error !== null && error.metadata.get("grpc-status-details-bin").length === 1)
  strictEqual(varveErrorOf(error).reason, "PARTITION_OUT_OF_RANGE")
})

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
