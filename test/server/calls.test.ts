// Every call of the contract, through a real daemon of three shards, at the second one: partition 1 is its own, all other
// partitions belong to others.

import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { status } from "@grpc/grpc-js"
import { decodeValues, type OperationError, partitionOfKey } from "@varve/proto"
import { afterAll, beforeAll, test } from "vitest"
import { startDaemon, type TestDaemon } from "./daemon.ts"
import { bytes, conditionalWrites, failsWith, operations, RawClient, reads, writes } from "./raw-client.ts"

let daemon: TestDaemon
let client: RawClient

beforeAll(async () => {
  daemon = await startDaemon({ flags: ["--shards", "3"] })
  client = new RawClient(await shardAddress(1))
})

afterAll(async () => {
  client.close()
  await daemon.stop()
})

/** Where shard `index` listens. */
async function shardAddress(index: number): Promise<string> {
  const first = new RawClient(daemon.grpc)
  try {
    const { stores } = await first.describe()
    return stores[0]!.partitions[index]!.address
  } finally {
    first.close()
  }
}

const owner = (key: string): number => partitionOfKey(bytes(key), 4)

/** `count` keys of one partition. */
function keysOf(partition: number, count: number, prefix: string): string[] {
  const keys: string[] = []
  for (let index = 0; keys.length < count; index++) {
    if (owner(`${prefix}${index}`) === partition) keys.push(`${prefix}${index}`)
  }
  return keys
}

test("a value that was set is read back, and gone after it was deleted", async () => {
  strictEqual(await client.get(bytes("point")), undefined)
  await client.set(bytes("point"), bytes("one"))
  deepStrictEqual(await client.get(bytes("point")), bytes("one"))
  await client.set(bytes("point"), bytes("two"), { partition: owner("point") })
  deepStrictEqual(await client.get(bytes("point"), { partition: owner("point") }), bytes("two"))
  await client.delete(bytes("point"))
  strictEqual(await client.get(bytes("point")), undefined)
  await client.set(bytes("point"), bytes("three"))
  await client.set(bytes("point"), bytes(""))
  strictEqual(await client.get(bytes("point")), undefined)
})

test("getMany answers in the order of the keys, whatever their partitions", async () => {
  const keys = Array.from({ length: 40 }, (_, index) => `many${index}`)
  for (const key of keys.filter((_, index) => index % 3 !== 0))
    await client.set(bytes(key), bytes(`value of ${key}`))
  const expected = keys.map((key, index) => (index % 3 === 0 ? undefined : bytes(`value of ${key}`)))
  deepStrictEqual(await client.getMany(keys.map(bytes)), expected)
})

test("write applies records of one partition in order", async () => {
  const [a, b] = keysOf(2, 2, "batch") as [string, string]
  const records = [a, b, a].map((key, index) => ({ key: bytes(key), value: bytes(`${index}`) }))
  strictEqual(await client.write(records), 3)
  deepStrictEqual(await client.getMany([bytes(a), bytes(b)]), [bytes("2"), bytes("1")])
})

test("write under conditions: all or none, the state before the call is compared", async () => {
  const [a, b, c] = keysOf(1, 3, "condition") as [string, string, string]
  const record = (key: string, value: string) => ({ key: bytes(key), value: bytes(value) })
  strictEqual(await client.write([record(a, "1")], { expected: [record(a, ""), record(b, "")] }), 1)
  const failing = client.write([record(a, "2"), record(b, "2")], {
    expected: [record(a, "1"), record(b, "1")],
  })
  const error = await failsWith("CONDITION_FAILED", failing)
  strictEqual(error.code, status.ABORTED)
  ok(error.message.startsWith("condition 2 of 2 does not hold: the key is absent"), error.message)
  deepStrictEqual(await client.getMany([a, b].map(bytes)), [bytes("1"), undefined])
  strictEqual(await client.write([record(a, ""), record(b, "2")], { expected: [record(a, "1")] }), 2)
  strictEqual(await client.write([], { expected: [record(b, "2"), record(c, "")] }), 0)
  await failsWith("CONDITION_FAILED", client.write([], { expected: [record(c, "x")] }))
})

test("a frame of conditional writes is applied whole or fails alone", async () => {
  const [a, b] = keysOf(0, 2, "frame-condition") as [string, string]
  const answers = await client.pipeline([
    { work: conditionalWrites([[a, "1"]], [[a, ""]]) },
    { work: conditionalWrites([[a, "2"]], [[a, ""]]) },
    {
      work: conditionalWrites(
        [
          [a, "3"],
          [b, "3"],
        ],
        [[a, "1"]],
      ),
    },
    { work: reads(a, b) },
  ])
  deepStrictEqual(
    answers.map(({ result }) => (result?.$case === "error" ? result.value.reason : result?.$case)),
    ["written", "CONDITION_FAILED", "written", "values"],
  )
  const last = answers[3]!.result
  deepStrictEqual(last?.$case === "values" && decodeValues(last.value), [bytes("3"), bytes("3")])
  const text = await (await fetch(`${daemon.http}/metrics`)).text()
  const counted =
    /^varve_operations_total\{store="default",kind="conditional_write",result="refused"\} (\d+)$/m
  ok(Number(counted.exec(text)?.[1]) >= 1)
})

test("a frame of operations: reads see the writes before them, what cannot be taken fails alone", async () => {
  const [a, b, c] = keysOf(1, 3, "mixed") as [string, string, string]
  const [foreign] = keysOf(0, 1, "mixed") as [string]
  const answers = await client.pipeline([
    {
      partition: 1,
      work: operations([a], [a, "1"], [a], [foreign, "x"], [foreign], [b, "2"], [a, ""], [b], [a], [c, "3"]),
    },
    { partition: 1, work: operations([a], [b], [c]) },
    { partition: 1, work: operations([a, "4"], [b, ""]) },
    { partition: 1, work: reads(a, b) },
  ])
  const results = answers.map(({ result }) => {
    if (result?.$case === "values") return decodeValues(result.value).map(shown)
    ok(result?.$case === "operations")
    const { values, written, errors, writesError } = result.value
    strictEqual(writesError, undefined)
    return { values: decodeValues(values).map(shown), written, errors: errors.map(reasonOf) }
  })
  deepStrictEqual(results, [
    { values: ["", "1", "", "2", ""], written: 4, errors: ["3 WRONG_PARTITION", "4 WRONG_PARTITION"] },
    { values: ["", "2", "3"], written: 0, errors: [] },
    { values: [], written: 2, errors: [] },
    ["4", ""],
  ])
})

const shown = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString()
const reasonOf = ({ index, error }: OperationError): string => `${index} ${error?.reason}`

test("scan answers every record of a prefix once, keys only and with a limit when asked", async () => {
  const keys = Array.from({ length: 300 }, (_, index) => `scan:${String(index).padStart(3, "0")}`)
  for (const key of keys) await client.set(bytes(key), bytes(key))
  const seen = (await client.scan({ prefix: bytes("scan:") })).flatMap(({ partition, records }) =>
    records.map(({ key, value }) => {
      strictEqual(owner(Buffer.from(key).toString()), partition)
      deepStrictEqual(key, value)
      return Buffer.from(key).toString()
    }),
  )
  deepStrictEqual(seen.sort(), keys)
  const some = await client.scan({ prefix: bytes("scan:"), keysOnly: true, limit: 10n })
  const records = some.flatMap((page) => page.records)
  strictEqual(records.length, 10)
  ok(records.every(({ value }) => value.length === 0))
  const range = await client.scan({ start: bytes("scan:100"), end: bytes("scan:110"), partition: 1 })
  const inRange = keys.slice(100, 110).filter((key) => owner(key) === 1)
  deepStrictEqual(
    range.flatMap((page) => page.records.map(({ key }) => Buffer.from(key).toString())).sort(),
    inRange,
  )
})

test("pipeline: writes and reads of one partition take effect and are answered in order", async () => {
  const [a, b] = keysOf(1, 2, "pipe") as [string, string]
  const answers = await client.pipeline([
    { partition: 1, work: writes([a, "1"], [b, "2"]) },
    { partition: 1, work: reads(a, b, a) },
    { partition: 1, work: writes([a, ""]) },
    { partition: 1, work: reads(a) },
  ])
  deepStrictEqual(
    answers.map(({ id }) => id),
    [0, 1, 2, 3],
  )
  deepStrictEqual(answers[0]!.result, { $case: "written", value: 2 })
  const values = answers[1]!.result
  ok(values?.$case === "values")
  deepStrictEqual(
    decodeValues(values.value).map((value) => Buffer.from(value ?? []).toString()),
    ["1", "2", "1"],
  )
  const gone = answers[3]!.result
  ok(gone?.$case === "values")
  deepStrictEqual(decodeValues(gone.value), [undefined])
})

test("snapshot, restore, list, pin and delete agree on versions and their metadata", async () => {
  await client.set(bytes("versioned"), bytes("at 10"))
  const made = await client.snapshot(10, { metadata: bytes("offset 10") })
  strictEqual(made.version, 10n)
  strictEqual(made.complete, true)
  deepStrictEqual(made.partitions, [0, 1, 2, 3])
  ok(made.bytesNew > 0n)
  await client.set(bytes("versioned"), bytes("at 20"))
  await client.snapshot(20, { metadata: bytes("offset 20") })
  await client.set(bytes("versioned"), bytes("after 20"))

  const back = await client.restore({ version: 10n })
  strictEqual(back.version, 10n)
  deepStrictEqual(back.metadata, bytes("offset 10"))
  deepStrictEqual(await client.get(bytes("versioned")), bytes("at 10"))

  // The replaced state was never a version, and can be had again.
  await client.restore({ replaced: back.replaced })
  deepStrictEqual(await client.get(bytes("versioned")), bytes("after 20"))
  await client.restore({ version: 10n })

  // A new line: 20 may be taken again, and neither overwrites the other.
  const again = await client.snapshot(20)
  ok(again.timeline !== made.timeline)
  strictEqual(again.complete, true)
  const listed = await client.listSnapshots()
  deepStrictEqual(
    listed.map(({ version, currentLine, complete }) => ({ version, currentLine, complete })),
    [
      { version: 10n, currentLine: true, complete: true },
      { version: 20n, currentLine: false, complete: true },
      { version: 20n, currentLine: true, complete: true },
    ],
  )
  deepStrictEqual(listed[0]!.metadata, bytes("offset 10"))

  await client.pinSnapshot(10, true)
  await failsWith("SNAPSHOT_PINNED", client.deleteSnapshot(10))
  await client.pinSnapshot(10, false)
  await client.deleteSnapshot(10)
  await failsWith("SNAPSHOT_NOT_FOUND", client.restore({ version: 10n }))
})

test("a restore without a version follows the line: what was rolled back stays rolled back", async () => {
  await client.set(bytes("line"), bytes("30"))
  await client.snapshot(30)
  await client.set(bytes("line"), bytes("40"))
  await client.snapshot(40)
  await client.restore({ version: 30n })
  const newest = await client.restore({})
  strictEqual(newest.version, 30n)
  deepStrictEqual(await client.get(bytes("line")), bytes("30"))
})

test("one partition may be snapshotted and restored by itself", async () => {
  const key = keysOf(3, 1, "own")[0]!
  const other = keysOf(0, 1, "own")[0]!
  await client.set(bytes(key), bytes("old"))
  await client.set(bytes(other), bytes("old"))
  const made = await client.snapshot(50, { partitions: [3] })
  deepStrictEqual(made.partitions, [3])
  strictEqual(made.complete, false)
  await client.set(bytes(key), bytes("new"))
  await client.set(bytes(other), bytes("new"))
  const back = await client.restore({ partitions: [3] })
  strictEqual(back.version, 50n)
  deepStrictEqual(await client.getMany([bytes(key), bytes(other)]), [bytes("old"), bytes("new")])
})

test("describe tells stores, slots, addresses and figures; lineages change with a restore", async () => {
  const { node, stores } = await client.describe()
  ok(node !== undefined && node.startedMs > 0n && node.instance.length > 0)
  const store = stores[0]!
  strictEqual(stores.length, 1)
  strictEqual(store.name, "default")
  strictEqual(store.engine, "hybrid-log")
  deepStrictEqual(
    store.partitions.map(({ slotFirst, slotLast }) => [slotFirst, slotLast]),
    [
      [0, 4095],
      [4096, 8191],
      [8192, 12_287],
      [12_288, 16_383],
    ],
  )
  const addresses = store.partitions.map(({ address }) => address)
  deepStrictEqual([addresses[0], addresses[3], new Set(addresses).size], [daemon.grpc, daemon.grpc, 3])
  ok(store.partitions.some(({ statistics }) => (statistics?.records ?? 0n) > 0n))
  await client.snapshot(60)
  const restored = await client.restore({ version: 60n })
  const after = (await client.describe("default")).stores[0]!
  for (const [index, partition] of after.partitions.entries()) {
    ok(partition.lineage !== store.partitions[index]!.lineage)
    strictEqual(restored.lineages[index], partition.lineage)
  }
})
