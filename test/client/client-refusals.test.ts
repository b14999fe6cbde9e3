// What the client refuses before it asks anybody: calls that cannot be right. Each fails alone, and nothing of it is sent.

import { VarveError } from "@varve/client"
import { expect, test } from "vitest"
import { keysOf } from "./keys-of.ts"
import { open, pair } from "./pair.ts"
import { reasonOf } from "./reason-of.ts"

const text = (value: Buffer | undefined): string | undefined => value?.toString()

test("client: an atomic write takes keys of one partition only", async () => {
  const { state, daemon } = await pair()
  const records = Array.from({ length: 20 }, (_, n) => ({ key: `key-${n}`, value: "v" }))
  expect(await reasonOf(state.write(records, { atomic: true }))).toBe("PARTITION_REQUIRED")
  expect(daemon.frames.length).toBe(0)
  await state.write(
    keysOf(1, 20).map((key) => ({ key, value: "v" })),
    { atomic: true },
  )
  expect(daemon.frames.map(({ partition }) => partition)).toEqual([1])
})

test("client: records of one partition beyond what a message holds are refused, not split", async () => {
  const { state, daemon } = await pair({ partitionCount: 1, messageBytesMax: 300_000 })
  const records = Array.from({ length: 7 }, (_, n) => ({ key: `k${n}`, value: Buffer.alloc(50_000) }))
  expect(await reasonOf(state.write(records))).toBe("BATCH_TOO_LARGE")
  const many = Array.from({ length: 65_537 }, () => ({ key: "k", value: "" }))
  expect(await reasonOf(state.write(many))).toBe("BATCH_TOO_LARGE")
  expect(await reasonOf(state.write([], { expected: many }))).toBe("BATCH_TOO_LARGE")
  expect(daemon.frames.length).toBe(0)
})

test("client: bad arguments fail the call alone", async () => {
  const { state } = await pair({ valueBytesMax: 100 })
  const good = state.set("good", "v")
  expect(await reasonOf(state.set("", "v"))).toBe("KEY_EMPTY")
  expect(await reasonOf(state.get(Buffer.alloc(65_536)))).toBe("KEY_TOO_LARGE")
  expect(await reasonOf(state.set("k", Buffer.alloc(101)))).toBe("VALUE_TOO_LARGE")
  expect(await reasonOf(state.write([{ key: "k", value: Buffer.alloc(101) }]))).toBe("VALUE_TOO_LARGE")
  expect(await reasonOf(state.get(7 as never))).toBe("REQUEST_INVALID")
  // UTF-8 has no bytes for these: they would be one key.
  expect(await reasonOf(state.set("\ud800", "v"))).toBe("REQUEST_INVALID")
  expect(await reasonOf(state.get("\udc01"))).toBe("REQUEST_INVALID")
  expect(await reasonOf(state.set("k", "half \ud800"))).toBe("REQUEST_INVALID")
  for (const limit of [1.5, -1, Number.NaN]) {
    expect(await reasonOf(state.scan({ limit }).next())).toBe("REQUEST_INVALID")
  }
  for (const partition of [1.5, -1, Number.NaN, "1" as never]) {
    expect(await reasonOf(state.scan({ partition }).next())).toBe("PARTITION_OUT_OF_RANGE")
    expect(await reasonOf(state.snapshot({ version: 1, partitions: [partition] }))).toBe(
      "PARTITION_OUT_OF_RANGE",
    )
    expect(await reasonOf(state.restore({ partitions: [partition] }))).toBe("PARTITION_OUT_OF_RANGE")
    expect(await reasonOf(state.listSnapshots({ partitions: [partition] }))).toBe("PARTITION_OUT_OF_RANGE")
  }
  expect(await reasonOf(state.get("k", { deadlineMs: 0 }))).toBe("REQUEST_INVALID")
  expect(await reasonOf(state.get("k", { partition: 9 }))).toBe("PARTITION_OUT_OF_RANGE")
  expect(await reasonOf(state.snapshot({ version: 0 }))).toBe("VERSION_INVALID")
  expect(await reasonOf(good)).toBe("none")
})

test("client: with hash partitioning a given partition must be the key's; another is not sent", async () => {
  const { state, daemon } = await pair()
  const [key] = keysOf(3, 1)
  await state.set(key!, "v", { partition: 3 })
  expect(await reasonOf(state.set(key!, "v", { partition: 2 }))).toBe("WRONG_PARTITION")
  expect(daemon.frames.length).toBe(1)
})

test("client: with explicit partitioning the partition is needed, and keys live where it says", async () => {
  const { state, daemon } = await pair({ partitioning: "explicit" })
  expect(await reasonOf(state.set("k", "v"))).toBe("PARTITION_REQUIRED")
  await state.set("k", "two", { partition: 2 })
  await state.set("k", "three", { partition: 3 })
  expect([daemon.valueOf("k", 2), daemon.valueOf("k", 3)]).toEqual(["two", "three"])
  expect(text(await state.get("k", { partition: 2 }))).toBe("two")
  expect((await state.getMany(["k", "x"], { partition: 3 })).map(text)).toEqual(["three", undefined])
})

test("client: an unknown store fails calls at once, and is asked for again later", async () => {
  const { daemon } = await pair()
  // Calls that waited for their deadline would not end within the test.
  const state = open(daemon.address, { store: "nowhere", deadlineMs: 600_000 })
  expect(await reasonOf(state.get("k"))).toBe("STORE_UNKNOWN")
  expect(await reasonOf(state.get("k"))).toBe("STORE_UNKNOWN")
})

test("client: options that a call does not know, or that are none, are refused before anything is done", async () => {
  const { daemon, state } = await pair()
  await state.set("k", "v")
  await state.snapshot({ version: 1 })
  daemon.calls.length = 0
  // As callers without types call it.
  const loose = state as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>
  const scan = (...given: unknown[]): Promise<unknown> =>
    (loose["scan"]!(...given) as unknown as AsyncGenerator<unknown>).next()
  const refusals: [string, Promise<unknown>, ...string[]][] = [
    ["restore", loose["restore"]!(901), "the options of restore are an object with version", "not 901"],
    [
      "restore",
      loose["restore"]!({ versoin: 901 }),
      "restore has no option versoin; known: version, timeline",
    ],
    ["restore", loose["restore"]!(null), "not null"],
    ["restore", loose["restore"]!({ version: 1, timeline: 5 }), "timeline is a string, not 5"],
    ["restore", loose["restore"]!({ partitions: 3 }), "partitions is an array of numbers, not 3"],
    ["restore", loose["restore"]!({ signal: 3 }), "signal is an AbortSignal, not 3"],
    ["scan", scan("user:"), "the options of scan are an object with prefix", 'the string "user:"'],
    ["scan", scan({ perfix: "user:" }), "scan has no option perfix; known: prefix"],
    ["scan", scan({ keysOnly: "no" }), "keysOnly is true or false"],
    ["snapshot", loose["snapshot"]!(), "snapshot needs its options: an object with version"],
    ["snapshot", loose["snapshot"]!({ version: 2, meta: "x" }), "snapshot has no option meta"],
    ["get", loose["get"]!("k", { partion: 1 }), "get has no option partion"],
    ["get", loose["get"]!(null), "the key is a string or a Uint8Array, not null"],
    ["set", loose["set"]!("k"), "the value is a string or a Uint8Array, not undefined"],
    ["set", loose["set"]!("k", "v", "x"), "the options of set"],
    ["delete", loose["delete"]!("k", 7), "not 7"],
    ["getMany", loose["getMany"]!("abc"), "the argument of getMany is an array of keys"],
    ["getMany", loose["getMany"]!(), "the argument of getMany is an array of keys, not undefined"],
    ["write", loose["write"]!({}), "the argument of write is an array of { key, value }"],
    ["write", loose["write"]!([null]), "a record is an object { key, value }, not null"],
    ["write", loose["write"]!([], { atomc: true }), "write has no option atomc"],
    ["listSnapshots", loose["listSnapshots"]!([0]), "not an array"],
    ["listSnapshots", loose["listSnapshots"]!({ partitions: {} }), "not an object"],
    ["deleteSnapshot", loose["deleteSnapshot"]!(), "deleteSnapshot needs its options"],
    ["deleteSnapshot", loose["deleteSnapshot"]!(1), "not 1"],
    ["pinSnapshot", loose["pinSnapshot"]!({ version: 1 }), "pinSnapshot needs pinned: true or false"],
    ["describe", loose["describe"]!("default"), "the options of describe"],
  ]
  for (const [name, call, ...words] of refusals) {
    const error = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error, name).toBeInstanceOf(VarveError)
    expect((error as VarveError).reason).toBe("REQUEST_INVALID")
    for (const word of words) expect((error as VarveError).message).toContain(word)
  }
  expect(daemon.calls).toEqual([])
  expect(text(await state.get("k"))).toBe("v")
})
