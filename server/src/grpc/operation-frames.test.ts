// Frames of operations on an engine that is slow, damaged or full when the test says so, beside a model that does one
// operation after the other.

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert"
import { EngineError } from "@varve/engines"
import {
  decodeOperation,
  decodeRecords,
  decodeValues,
  type OperationResults,
  partitionOfKey,
  RecordCursor,
  RecordWriter,
  VarveError,
} from "@varve/proto"
import { Registry } from "prom-client"
import { test } from "vitest"
import type { StoreSettings } from "../config/settings.ts"
import { logTo } from "../log.ts"
import { OperationMetrics } from "../metrics/operation-metrics.ts"
import { ShardPartition, ShardStore } from "../shard/shard-store.ts"
import { OperationFrames } from "./operation-frames.ts"

const VALUE_BYTES_MAX = 40
const ANSWER_BYTES_MAX = 2000

type Operation = { readonly key: string; readonly value?: string }

const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined || bytes.length === 0 ? undefined : Buffer.from(bytes).toString()

/** An engine of texts. What is slow answers in a later turn, with what there was when it was asked. */
class TestEngine {
  readonly contents = new Map<string, string>()
  isSlow = false
  refusal: EngineError | undefined
  /** Keys that cannot be read. */
  readonly damaged = new Set<string>()
  batches = 0
  manyReads = 0

  get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const name = Buffer.from(key).toString()
    if (this.damaged.has(name)) return Promise.reject(new EngineError("DATA_LOSS", `damaged: ${name}`))
    const value = this.contents.get(name)
    return value === undefined ? undefined : Buffer.from(value)
  }

  getMany(keys: readonly Uint8Array[]): (Uint8Array | undefined)[] | Promise<(Uint8Array | undefined)[]> {
    this.manyReads++
    const values = keys.map((key) => this.get(key))
    if (!this.isSlow && this.damaged.size === 0) return values as (Uint8Array | undefined)[]
    const all = Promise.all(values)
    return all.then(() => new Promise((resolve) => setImmediate(resolve))).then(() => all)
  }

  writeEncoded(batch: Uint8Array): { recordCount: number; pending: Promise<void> | undefined } {
    if (this.refusal !== undefined) throw this.refusal
    this.batches++
    const records = decodeRecords(batch)
    for (const { key, value } of records) {
      if (value.length === 0) this.contents.delete(Buffer.from(key).toString())
      else this.contents.set(Buffer.from(key).toString(), Buffer.from(value).toString())
    }
    return { recordCount: records.length, pending: this.isSlow ? Promise.resolve() : undefined }
  }
}

function open(partitionCount = 1, answerBytesMax = ANSWER_BYTES_MAX) {
  const engine = new TestEngine()
  const partition = new ShardPartition(0, undefined)
  partition.attach(engine as never)
  const others = Array.from(
    { length: partitionCount - 1 },
    (_, index) => new ShardPartition(index + 1, undefined),
  )
  const settings = { name: "default", valueBytesMax: VALUE_BYTES_MAX, partitioning: "hash" } as StoreSettings
  const store = new ShardStore(settings, [partition, ...others])
  const figures = new OperationMetrics(new Registry(), ["default"]).of("default")
  const frames = new OperationFrames(
    answerBytesMax,
    logTo(() => undefined),
  )
  const apply = (list: Uint8Array): OperationResults | Promise<OperationResults> =>
    frames.apply(store, partition, list, figures)
  return { engine, figures, apply }
}

function encoded(operations: readonly Operation[]): Uint8Array {
  const writer = new RecordWriter()
  for (const { key, value } of operations) {
    if (value === undefined) writer.addRead(Buffer.from(key))
    else writer.add(Buffer.from(key), Buffer.from(value))
  }
  return writer.take()
}

const valuesOf = ({ values }: OperationResults): (string | undefined)[] => decodeValues(values).map(textOf)
const errorsOf = ({ errors }: OperationResults): string[] =>
  errors.map(({ index, error }) => `${index} ${error?.reason}`)

test("operations: a read sees the writes before it in the frame, and none behind it", () => {
  const { engine, apply } = open()
  engine.contents.set("a", "old").set("b", "old")
  const results = apply(
    encoded([
      { key: "a" },
      { key: "a", value: "1" },
      { key: "a" },
      { key: "b" },
      { key: "a", value: "2" },
      { key: "b", value: "" },
      { key: "a" },
      { key: "b" },
      { key: "b", value: "3" },
    ]),
  ) as OperationResults
  deepStrictEqual(valuesOf(results), ["old", "1", "old", "2", undefined])
  strictEqual(results.written, 4)
  deepStrictEqual(
    [...engine.contents],
    [
      ["a", "2"],
      ["b", "3"],
    ],
  )
  deepStrictEqual([engine.manyReads, engine.batches], [1, 1])
})

test("operations: what no state would take fails alone, and reads behind it do not see it", () => {
  const { engine, apply } = open(4)
  const own = "abcdefghijklmnop".split("").filter((key) => partitionOfKey(Buffer.from(key), 4) === 0)
  const foreign = "abcdefghijklmnop".split("").find((key) => partitionOfKey(Buffer.from(key), 4) !== 0)!
  ok(own.length >= 2)
  const [a, b] = own as [string, string]
  const list = Buffer.concat([
    encoded([
      { key: a, value: "1" },
      { key: foreign, value: "2" },
      { key: foreign },
      { key: a, value: "x".repeat(VALUE_BYTES_MAX + 1) },
      { key: a },
    ]),
    // A key to read with a value, an empty key to read and one to write, a key too long.
    Buffer.from(`0101807878${"00008000010078"}`, "hex"),
    Buffer.concat([Buffer.from("80800400", "hex"), Buffer.from([0]), Buffer.alloc(65_536, 97)]),
    encoded([{ key: b, value: "3" }, { key: b }]),
  ])
  const results = apply(list) as OperationResults
  deepStrictEqual(errorsOf(results), [
    "1 WRONG_PARTITION",
    "2 WRONG_PARTITION",
    "3 VALUE_TOO_LARGE",
    "5 RECORD_MALFORMED",
    "6 KEY_EMPTY",
    "7 KEY_EMPTY",
    "8 KEY_TOO_LARGE",
  ])
  deepStrictEqual(valuesOf(results), [undefined, "1", undefined, undefined, "3"])
  strictEqual(results.written, 2)
  deepStrictEqual(
    [...engine.contents],
    [
      [a, "1"],
      [b, "3"],
    ],
  )
})

test("operations: a frame whose records cannot be told apart, or that has too much to refuse, applies nothing", () => {
  const { engine, apply } = open()
  const good = encoded([{ key: "a", value: "1" }])
  const refusedBy = (reason: string) => (error: unknown) =>
    error instanceof VarveError && error.reason === reason
  for (const flags of [1, 2, 4, 0x81, 0xc0]) {
    const bad = Buffer.concat([good, Buffer.from([1, 0, flags, 97])])
    throws(() => apply(bad), refusedBy("RECORD_FLAGS_UNSUPPORTED"), `flags ${flags}`)
  }
  for (const bytes of ["0102", "0102006162", "ffffffff0f0000", "810000"]) {
    throws(
      () => apply(Buffer.concat([good, Buffer.from(bytes, "hex")])),
      refusedBy("RECORD_MALFORMED"),
      bytes,
    )
  }
  const empty = Buffer.from("000000", "hex")
  const overMany = Buffer.concat([good, ...Array(257).fill(empty)])
  throws(() => apply(overMany), refusedBy("KEY_EMPTY"))
  throws(() => apply(overMany), /more than 256 operations of the frame .*: a key has at least 1 byte/)
  const many = encoded(Array.from({ length: 65_537 }, () => ({ key: "a" })))
  throws(() => apply(many), refusedBy("REQUEST_INVALID"))
  strictEqual(engine.contents.size, 0)
  strictEqual((apply(Buffer.concat([good, ...Array(256).fill(empty)])) as OperationResults).written, 1)
})

test("operations: where no writes are taken, reads are answered as if there were none in the frame", () => {
  const { engine, figures, apply } = open()
  engine.contents.set("a", "old").set("b", "old")
  engine.refusal = new EngineError("STORAGE_FULL", "no space")
  const mixed = encoded([
    { key: "a", value: "1" },
    { key: "a" },
    { key: "b" },
    { key: "c", value: "2" },
    { key: "c" },
  ])
  const results = apply(mixed) as OperationResults
  deepStrictEqual(valuesOf(results), ["old", "old", undefined])
  deepStrictEqual([results.written, results.writesError?.reason], [0, "STORAGE_FULL"])
  deepStrictEqual(results.errors, [])
  deepStrictEqual(
    [figures.pipeline_read.ok, figures.pipeline_write.ok, figures.pipeline_write.failed],
    [3, 0, 1],
  )
})

test("operations: a damaged key fails its own reads, and no other operation", async () => {
  const { engine, apply } = open()
  engine.contents.set("a", "1").set("b", "2")
  engine.damaged.add("bad")
  const list = encoded([{ key: "w", value: "3" }, { key: "a" }, { key: "bad" }, { key: "b" }, { key: "w" }])
  const results = await apply(list)
  deepStrictEqual(errorsOf(results), ["2 DATA_LOSS"])
  deepStrictEqual(valuesOf(results), ["1", undefined, "2", "3"])
  strictEqual(results.written, 1)
})

test("operations: an answer holds the values that fit, and at least the first; a value that never fits is an error", () => {
  const { engine, apply } = open(1, 100)
  for (const key of "abcd") engine.contents.set(key, key.repeat(40))
  const results = apply(encoded([..."abcd"].map((key) => ({ key })))) as OperationResults
  deepStrictEqual(valuesOf(results), ["a".repeat(40), "b".repeat(40)])
  const small = open(1, 30)
  small.engine.contents.set("a", "a".repeat(40)).set("b", "b")
  const refused = small.apply(encoded([{ key: "a" }, { key: "b" }])) as OperationResults
  deepStrictEqual([errorsOf(refused), valuesOf(refused)], [["0 MESSAGE_TOO_LARGE"], [undefined]])
})

test("operations: random frames do what one operation after the other does", async () => {
  const seed = Number(process.env["VARVE_TEST_SEED"] ?? 2_026)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const { engine, apply } = open(1, 1_000_000)
  const model = new Map<string, string>()
  for (let round = 0; round < 2000; round++) {
    engine.isSlow = random(3) === 0
    engine.refusal = random(10) === 0 ? new EngineError("WRITES_STALLED", "later") : undefined
    const keyCount = 1 + random(30)
    const reads = random(11)
    const operations = Array.from({ length: 1 + random(60) }, (): Operation => {
      const key = `k${random(keyCount)}`
      if (random(10) < reads) return { key }
      return {
        key,
        value: random(6) === 0 ? "" : random(15) === 0 ? "x".repeat(41) : `${round}-${random(100)}`,
      }
    })
    const values: (string | undefined)[] = []
    const errors: string[] = []
    let written = 0
    operations.forEach(({ key, value }, index) => {
      if (value === undefined) values.push(model.get(key))
      else if (value.length > VALUE_BYTES_MAX) errors.push(`${index} VALUE_TOO_LARGE`)
      else if (engine.refusal === undefined) {
        written++
        if (value === "") model.delete(key)
        else model.set(key, value)
      }
    })
    const list = encoded(operations)
    const before = Buffer.from(list)
    const pending = apply(list)
    const all = [...engine.contents].sort()
    const results = await pending
    const place = `seed ${seed}, round ${round}`
    deepStrictEqual(valuesOf(results), values, place)
    deepStrictEqual([results.written, errorsOf(results)], [written, errors], place)
    deepStrictEqual(all, [...model].sort(), place)
    ok(before.equals(list), "the frame's bytes stay as they are")
  }
})

test("operations: every cut of a frame is refused whole, or is a frame of its first operations", () => {
  const list = encoded([{ key: "a", value: "123" }, { key: "a" }, { key: "bc", value: "" }])
  const cursor = new RecordCursor()
  const ends = new Set<number>([0])
  for (let at = 0; at < list.length; at = cursor.end) {
    ok(decodeOperation(list, at, list.length, cursor))
    ends.add(cursor.end)
  }
  for (let end = 0; end <= list.length; end++) {
    const { engine, apply } = open()
    if (ends.has(end)) apply(list.subarray(0, end))
    else throws(() => apply(list.subarray(0, end)))
    strictEqual(engine.contents.has("a"), ends.has(end) && end > 0, `cut at ${end}`)
  }
})
