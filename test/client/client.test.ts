// The client against a small daemon: what callers see.

import { getEventListeners } from "node:events"
import { VarveError } from "@varve/client"
import { partitionOfKey } from "@varve/proto"
import { expect, test } from "vitest"
import { keysOf } from "./keys-of.ts"
import { kindsOf, payloadBytes } from "./memory-frames.ts"
import { open, pair } from "./pair.ts"
import { reasonOf } from "./reason-of.ts"
import { turns } from "./turns.ts"

const text = (value: Buffer | undefined): string | undefined => value?.toString()

test("client: what is set is got, what is deleted or set empty is undefined", async () => {
  const { state } = await pair()
  await state.set("user:1", "Ada")
  expect(text(await state.get("user:1"))).toBe("Ada")
  await state.delete("user:1")
  expect(await state.get("user:1")).toBeUndefined()
  await state.set("user:2", "Bob")
  await state.set("user:2", "")
  expect(await state.get("user:2")).toBeUndefined()
})

test("client: keys and values of all bytes come back", async () => {
  const { state } = await pair()
  const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
  await state.set(all, all)
  expect(await state.get(all)).toEqual(Buffer.from(all))
})

test("client: the caller's bytes may change as soon as a call returns, also while it waits", async () => {
  const { state } = await pair({}, { inflightBytesMax: 1 })
  const key = Buffer.from("k1")
  const value = Buffer.from("one")
  const first = state.set(key, value)
  key.write("k2")
  value.write("two")
  const second = state.set(key, value)
  key.fill(0)
  value.fill(0)
  await Promise.all([first, second])
  expect([text(await state.get("k1")), text(await state.get("k2"))]).toEqual(["one", "two"])
})

test("client: calls of one partition take effect in the order in which they are made", async () => {
  const { state, daemon } = await pair()
  await state.get("warm")
  daemon.frames.length = 0
  const answers = await Promise.all([
    state.set("k", "1"),
    state.get("k"),
    state.get("k"),
    state.set("k", "2"),
    state.get("k"),
  ])
  expect(answers.map((answer) => answer?.toString())).toEqual([undefined, "1", "1", undefined, "2"])
  expect(daemon.frames.map(kindsOf)).toEqual(["wrrwr"])
})

test("client: calls made in the same turn share one frame per partition", async () => {
  const { state, daemon } = await pair()
  await state.get("warm")
  daemon.frames.length = 0
  await Promise.all(Array.from({ length: 1000 }, (_, n) => state.set(`key-${n}`, "v")))
  expect(daemon.frames.length).toBe(4)
})

test("client: while two frames of a partition are on their way, calls gather into one more", async () => {
  const { state, daemon } = await pair({ partitionCount: 1 })
  await state.get("warm")
  daemon.frames.length = 0
  daemon.onFrame = () => "hold"
  const calls: Promise<string>[] = []
  for (let n = 0; n < 10; n++) {
    calls.push(reasonOf(state.set(`k${n}`, "v")))
    while (daemon.frames.length < Math.min(n + 1, 2)) await new Promise((resolve) => setTimeout(resolve, 2))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  expect(daemon.frames.length).toBe(2)
  daemon.onFrame = () => "answer"
  await daemon.restart()
  expect(await Promise.all(calls)).toEqual(Array.from({ length: 10 }, () => "none"))
  // The two that were on their way, twice each, and the one that gathered.
  expect(daemon.frames.map(({ sequence }) => sequence)).toEqual([1n, 2n, 1n, 2n, 3n])
})

test("client: a partition with a frame on its way gathers while another is busy; one without sends at once", async () => {
  const { state, daemon } = await pair({ partitionCount: 4 })
  await state.get("warm")
  daemon.frames.length = 0
  daemon.onFrame = () => "hold"
  const arrivals = async (count: number): Promise<void> => {
    while (daemon.frames.length < count) await new Promise((resolve) => setTimeout(resolve, 2))
    await turns()
    expect(daemon.frames.length).toBe(count)
  }
  const [first, second, third] = [0, 1, 2].map((partition) => keysOf(partition, 12))
  const calls = [reasonOf(state.get(first![0]!)), reasonOf(state.get(second![0]!))]
  await arrivals(2)
  for (const key of first!.slice(1)) {
    calls.push(reasonOf(state.get(key)))
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await arrivals(2)
  calls.push(reasonOf(state.get(third![0]!)))
  await arrivals(3)
  expect(daemon.frames.map(({ partition }) => partition)).toEqual([0, 1, 2])
  daemon.onFrame = () => "answer"
  await daemon.restart()
  expect(await Promise.all(calls)).toEqual(calls.map(() => "none"))
  // What was on its way again, and the eleven calls in one frame.
  expect(daemon.frames.slice(3).map(({ partition }) => partition)).toEqual([0, 1, 2, 0])
})

test("client: getMany answers in the order of the keys, over partitions and frames", async () => {
  const { state, daemon } = await pair()
  const keys = Array.from({ length: 20_000 }, (_, n) => `key-${n}`)
  await state.write(keys.filter((_, n) => n % 3 !== 0).map((key) => ({ key, value: `value of ${key}` })))
  daemon.frames.length = 0
  const values = await state.getMany([...keys, "key-1"])
  expect(values.map(text)).toEqual([
    ...keys.map((key, n) => (n % 3 === 0 ? undefined : `value of ${key}`)),
    "value of key-1",
  ])
  expect(daemon.frames.length).toBe(4)
  expect(await state.getMany([])).toEqual([])
})

test("client: frames are cut at 1 MiB, and at the daemon's message limit", async () => {
  const { state, daemon } = await pair({ partitionCount: 1, messageBytesMax: 300_000 })
  const value = Buffer.alloc(50_000, 1)
  await Promise.all(Array.from({ length: 40 }, (_, n) => state.set(`k${n}`, value)))
  const sizes = daemon.frames.map(payloadBytes)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(300_000)
  expect(daemon.frames.length).toBe(8)
})

test("client: values too many for one answer are fetched in several", async () => {
  const { state, daemon } = await pair({ partitionCount: 1, messageBytesMax: 300_000 })
  const keys = Array.from({ length: 20 }, (_, n) => `k${n}`)
  for (const [n, key] of keys.entries()) await state.set(key, Buffer.alloc(50_000, n + 1))
  const many = await state.getMany(keys)
  expect(many.map((value) => value?.at(0))).toEqual(keys.map((_, n) => n + 1))
  const single = await Promise.all(keys.map((key) => state.get(key)))
  expect(single.map((value) => value?.at(49_999))).toEqual(keys.map((_, n) => n + 1))
  daemon.onFrame = () => new VarveError("MESSAGE_TOO_LARGE", "never")
  expect(await reasonOf(state.getMany(keys))).toBe("MESSAGE_TOO_LARGE")
})

test("client: a write of several partitions is split, each part in one frame", async () => {
  const { state, daemon } = await pair()
  await state.write(Array.from({ length: 100 }, (_, n) => ({ key: `key-${n}`, value: `${n}` })))
  expect(daemon.frames.length).toBe(4)
  expect(daemon.valueOf("key-42")).toBe("42")
  await state.write([])
  daemon.onFrame = ({ partition }) => (partition === 2 ? new VarveError("STORAGE_FULL", "full") : "answer")
  const changed = Array.from({ length: 100 }, (_, n) => ({ key: `key-${n}`, value: "new" }))
  expect(await reasonOf(state.write(changed))).toBe("STORAGE_FULL")
  const fates = Array.from({ length: 100 }, (_, n) => daemon.valueOf(`key-${n}`) === "new")
  const partitions = changed.map(({ key }) => partitionOfKey(Buffer.from(key), 4))
  expect(fates).toEqual(partitions.map((partition) => partition !== 2))
})

test("client: an error of a frame names its reason; calls of other frames go on", async () => {
  const { state, daemon } = await pair()
  const [key] = keysOf(0, 1)
  const [other] = keysOf(1, 1)
  daemon.onFrame = ({ partition }) =>
    partition === 0 ? new VarveError("WRITES_STALLED", "later, please") : "answer"
  const failed = state.set(key!, "v")
  const fine = state.set(other!, "v")
  await expect(failed).rejects.toMatchObject({
    name: "VarveError",
    reason: "WRITES_STALLED",
    code: 8,
    retryable: true,
    message: "later, please",
  })
  await fine
})

test("client: a deadline fails the call, and says whether it was sent", async () => {
  const { state, daemon } = await pair()
  await state.get("warm")
  daemon.onFrame = () => "hold"
  await expect(state.set("k", "v", { deadlineMs: 30 })).rejects.toMatchObject({
    reason: "DEADLINE_PASSED",
    message: expect.stringContaining("may or may not"),
  })
  daemon.stop()
  await expect(state.set("k", "v", { deadlineMs: 60 })).rejects.toMatchObject({
    reason: "DEADLINE_PASSED",
    message: expect.stringContaining("not sent"),
  })
})

test("client: a read that ends without an answer is told nothing of the writes in its frame", async () => {
  const { state, daemon } = await pair({ partitionCount: 1 })
  await state.get("warm")
  daemon.frames.length = 0
  daemon.onFrame = () => "hold"
  const abort = new AbortController()
  const { signal } = abort
  const calls = [
    state.set("k", "v", { deadlineMs: 30 }),
    state.get("k", { deadlineMs: 30 }),
    state.set("l", "v", { signal }),
    state.getMany(["l"], { signal }),
  ]
  const ended = Promise.allSettled(calls)
  await Promise.race(calls).catch(() => abort.abort())
  const messages = (await ended).map((each) =>
    each.status === "rejected" ? String(each.reason.message) : "",
  )
  expect(daemon.frames.map(kindsOf)).toEqual(["wrwr"])
  expect(
    messages.map((message) => /a write may or may not|there was no answer yet/.exec(message)?.[0]),
  ).toEqual([
    "a write may or may not",
    "there was no answer yet",
    "a write may or may not",
    "there was no answer yet",
  ])
})

test("client: calls that share a signal share one listener on it", async () => {
  const { state } = await pair()
  await state.set("k", "v")
  const { signal } = new AbortController()
  const calls = Array.from({ length: 100 }, () => state.get("k", { signal }))
  expect(getEventListeners(signal, "abort").length).toBe(1)
  await Promise.all(calls)
  expect(getEventListeners(signal, "abort").length).toBe(0)
})

test("client: an aborted signal cancels the call, before and after it was sent", async () => {
  const { state, daemon } = await pair()
  await state.get("warm")
  daemon.onFrame = () => "hold"
  const later = new AbortController()
  const held = state.get("k", { signal: later.signal })
  setTimeout(() => later.abort(), 20)
  expect(await reasonOf(held)).toBe("CANCELLED")
  expect(await reasonOf(state.get("k", { signal: AbortSignal.abort() }))).toBe("CANCELLED")
  expect(await reasonOf(state.snapshot({ version: 1, signal: AbortSignal.abort() }))).toBe("CANCELLED")
})

test("client: calls beyond the bytes in flight wait in order; beyond the waiting calls they are refused", async () => {
  const { state, daemon } = await pair({ partitionCount: 1 }, { inflightBytesMax: 100, waitingCallsMax: 10 })
  await state.get("warm")
  daemon.frames.length = 0
  const order: string[] = []
  const calls = Array.from({ length: 13 }, (_, n) =>
    state.set(`k${n}`, Buffer.alloc(40)).then(
      () => order.push(`${n} done`),
      (error: VarveError) => order.push(`${n} ${error.reason}`),
    ),
  )
  await Promise.all(calls)
  // Two are in flight, ten wait.
  const done = Array.from({ length: 12 }, (_, n) => `${n} done`)
  expect(order).toEqual(["12 OVERLOADED", ...done])
  expect(daemon.frames.map(payloadBytes)).toEqual([90, 90, 90, 90, 90, 92])
})

test("client: a small call does not overtake a large one that waits", async () => {
  const { state, daemon } = await pair({ partitionCount: 1 }, { inflightBytesMax: 100 })
  await state.get("warm")
  await Promise.all([state.set("k", "a".repeat(40)), state.set("k", "b".repeat(80)), state.set("k", "c")])
  expect(daemon.valueOf("k")).toBe("c")
})

test("client: scan gives all records of a prefix, sees writes made before, and ends when the loop is left", async () => {
  const { state } = await pair()
  const keys = Array.from({ length: 50 }, (_, n) => `user:${n}`)
  const writes = keys.map((key) => state.set(key, `${key}!`))
  await state.set("other", "x")
  const found = new Map<string, string>()
  for await (const { key, value } of state.scan({ prefix: "user:" })) found.set(String(key), String(value))
  await Promise.all(writes)
  expect([...found.keys()].sort()).toEqual([...keys].sort())
  expect(found.get("user:7")).toBe("user:7!")
  let count = 0
  for await (const _record of state.scan()) if (++count === 3) break
  expect(count).toBe(3)
})

test("client: a snapshot holds the writes made before it, awaited or not; restore puts them back", async () => {
  const { state, daemon } = await pair()
  const write = state.set("k", "1")
  const result = await state.snapshot({ version: 7, metadata: "offset 3" })
  await write
  expect(result).toMatchObject({ version: 7, complete: true, bytesNew: 5, partitions: [0, 1, 2, 3] })
  await state.set("k", "2")
  const restored = await state.restore({ version: 7 })
  expect(restored).toMatchObject({ version: 7, metadata: Buffer.from("offset 3"), replaced: "r" })
  expect(text(await state.get("k"))).toBe("1")
  expect((await state.listSnapshots()).map(({ version }) => version)).toEqual([7])
  await state.pinSnapshot({ version: 7, pinned: true })
  await state.deleteSnapshot({ version: 7 })
  expect(await reasonOf(state.restore({ version: 7 }))).toBe("SNAPSHOT_NOT_FOUND")
  expect(daemon.calls).toContain("pinSnapshot")
})

test("client: describe gives numbers and Buffers", async () => {
  const { state } = await pair()
  const { node, stores } = await state.describe()
  expect(node?.messageBytesMax).toBe(8 * 1024 * 1024)
  expect(stores[0]).toMatchObject({ name: "default", partitionCount: 4, settings: { color: "grey" } })
  expect(stores[0]?.partitions[1]?.metadata).toEqual(Buffer.alloc(0))
  JSON.stringify(stores)
})

test("client: after close every call fails with CLIENT_CLOSED, pending ones too, and close may be called again", async () => {
  const { state, daemon } = await pair()
  await state.get("warm")
  daemon.onFrame = () => "hold"
  daemon.onCall = () => new Promise(() => undefined)
  const point = state.set("k", "v").catch(String)
  const control = state.listSnapshots().catch(String)
  const barrier = state.snapshot({ version: 1 }).catch(String)
  await turns()
  const unsent = open("127.0.0.1:1")
  const waiting = [unsent.set("k", "v").catch(String), unsent.describe().catch(String)]
  await Promise.all([state.close(), unsent.close()])
  const inDoubt = "VarveError: this client was closed; a write on its way may or may not have been applied"
  const notSent = "VarveError: this client is closed; the call was not sent"
  expect(await Promise.all([point, control, barrier, ...waiting])).toEqual([
    inDoubt,
    inDoubt,
    notSent,
    notSent,
    notSent,
  ])
  expect(await reasonOf(state.get("k"))).toBe("CLIENT_CLOSED")
  expect(await reasonOf(state.describe())).toBe("CLIENT_CLOSED")
  await expect(state.set("k", "v")).rejects.toThrow("is closed; the call was not sent")
  await expect(state.snapshot({ version: 1 })).rejects.toThrow("is closed; the call was not sent")
  await state.close()
})
