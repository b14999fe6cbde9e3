// Conditions on writes as callers of the client see them.

import { isVarveError, type State, VarveError } from "@varve/client"
import { partitionOfKey } from "@varve/proto"
import { expect, onTestFinished, test } from "vitest"
import { startDaemon } from "../server/daemon.ts"
import { kindsOf } from "./memory-frames.ts"
import { open, pair } from "./pair.ts"
import { reasonOf } from "./reason-of.ts"

test("client: set and delete under a condition", async () => {
  const { state } = await pair()
  expect(await reasonOf(state.set("k", "1", { ifAbsent: true }))).toBe("none")
  expect(await reasonOf(state.set("k", "2", { ifAbsent: true }))).toBe("CONDITION_FAILED")
  expect(await reasonOf(state.set("k", "2", { ifValue: "0" }))).toBe("CONDITION_FAILED")
  expect(await reasonOf(state.set("k", "2", { ifValue: Buffer.from("1") }))).toBe("none")
  expect(await reasonOf(state.delete("k", { ifValue: "1" }))).toBe("CONDITION_FAILED")
  expect(String(await state.get("k"))).toBe("2")
  expect(await reasonOf(state.delete("k", { ifValue: "2" }))).toBe("none")
  expect(await reasonOf(state.set("k", "3", { ifValue: "" }))).toBe("none")
  expect(await reasonOf(state.set("k", "4", { ifAbsent: false }))).toBe("none")
  expect(String(await state.get("k"))).toBe("4")
})

test("client: a write under conditions is applied whole or not at all", async () => {
  const { state } = await pair({ partitionCount: 1 })
  const records = [
    { key: "a", value: "1", ifAbsent: true },
    { key: "b", value: "1" },
  ]
  await state.write(records, { expected: [{ key: "lock", value: "" }] })
  expect(await reasonOf(state.write(records))).toBe("CONDITION_FAILED")
  const next = [
    { key: "b", value: "2" },
    { key: "a", value: "2", ifValue: "1" },
  ]
  expect(await reasonOf(state.write(next, { expected: [{ key: "lock", value: "me" }] }))).toBe(
    "CONDITION_FAILED",
  )
  expect(String(await state.getMany(["a", "b"]))).toBe("1,1")
  await state.write(next, { expected: [{ key: "lock", value: "" }] })
  expect(String(await state.getMany(["a", "b"]))).toBe("2,2")
  await state.write([], { expected: [{ key: "a", value: "2" }] })
  expect(await reasonOf(state.write([], { expected: [{ key: "a", value: "" }] }))).toBe("CONDITION_FAILED")
})

test("client: a condition that fails fails its call alone, in order with the calls around it", async () => {
  const { state, daemon } = await pair({ partitionCount: 1 })
  await state.get("warm")
  daemon.frames.length = 0
  const calls = [
    state.set("k", "1"),
    state.set("k", "2", { ifValue: "1" }),
    state.set("k", "3", { ifValue: "1" }),
    state.set("other", "1"),
    state.set("k", "4", { ifValue: "2" }),
    state.get("k"),
  ]
  const settled = await Promise.allSettled(calls)
  expect(settled.map(({ status }) => status === "fulfilled")).toEqual([true, true, false, true, true, true])
  expect(String(await calls.at(-1))).toBe("4")
  expect(daemon.frames.map(kindsOf)).toEqual([
    "w",
    "conditionalWrites",
    "conditionalWrites",
    "w",
    "conditionalWrites",
    "r",
  ])
})

test("client: keys of conditions belong to one partition with the records", async () => {
  const { state, daemon } = await pair()
  await state.get("warm")
  daemon.frames.length = 0
  const apart = ["a", "b", "c", "d", "e", "f", "g"].find(
    (key) => partitionOfKey(Buffer.from(key), 4) !== partitionOfKey(Buffer.from("k"), 4),
  )!
  const far = { expected: [{ key: apart, value: "1" }] }
  expect(await reasonOf(state.write([{ key: "k", value: "1" }], far))).toBe("PARTITION_REQUIRED")
  const spread = [
    { key: "k", value: "1", ifAbsent: true },
    { key: apart, value: "1" },
  ]
  expect(await reasonOf(state.write(spread))).toBe("PARTITION_REQUIRED")
  const wrong = { ...far, partition: partitionOfKey(Buffer.from("k"), 4) }
  expect(await reasonOf(state.write([], wrong))).toBe("WRONG_PARTITION")
  expect(daemon.frames.length).toBe(0)
})

test("client: bad conditions are refused before anything is sent", async () => {
  const { state, daemon } = await pair({ valueBytesMax: 100 })
  await state.get("warm")
  daemon.frames.length = 0
  const write = (options: unknown) => reasonOf(state.write([{ key: "k", value: "1" }], options as never))
  const set = (options: unknown) => reasonOf(state.set("k", "1", options as never))
  expect(await write({ expected: "k" })).toBe("REQUEST_INVALID")
  expect(await write({ expected: ["k"] })).toBe("REQUEST_INVALID")
  expect(await write({ expected: [{ key: "", value: "" }] })).toBe("KEY_EMPTY")
  expect(await write({ expected: [{ key: "k" }] })).toBe("REQUEST_INVALID")
  expect(await write({ expected: [{ key: "k", value: Buffer.alloc(101) }] })).toBe("VALUE_TOO_LARGE")
  expect(await write({ expect: [] })).toBe("REQUEST_INVALID")
  expect(await set({ ifAbsent: 1 })).toBe("REQUEST_INVALID")
  expect(await set({ ifValue: 1 })).toBe("REQUEST_INVALID")
  expect(await set({ ifAbsent: true, ifValue: "1" })).toBe("REQUEST_INVALID")
  expect(await reasonOf(state.delete("k", { ifAbsent: true } as never))).toBe("REQUEST_INVALID")
  expect(daemon.frames.length).toBe(0)
})

test("client: a conditional write whose answer was lost is sent again, and its condition is not asked again", async () => {
  const { state, daemon } = await pair({ partitionCount: 1 })
  await state.set("k", "1")
  daemon.frames.length = 0
  daemon.onFrame = () => "apply"
  const write = state.set("k", "2", { ifValue: "1" })
  while (daemon.frames.length === 0) await new Promise((resolve) => setTimeout(resolve, 2))
  daemon.onFrame = () => "answer"
  await daemon.restart()
  await write
  expect(String(await state.get("k"))).toBe("2")
  expect(daemon.frames.map(kindsOf)).toEqual(["conditionalWrites", "conditionalWrites", "r"])
})

test("client: what a daemon going down did not take keeps its conditions on its way to the next one", async () => {
  const { state, daemon } = await pair({ partitionCount: 1 })
  await state.set("k", "1")
  const goingDown = new VarveError("SHUTTING_DOWN", "going down")
  daemon.onFrame = () => goingDown
  daemon.onCall = () => {
    throw goingDown
  }
  const before = daemon.frames.length
  const calls = [
    reasonOf(state.set("k", "2", { ifValue: "0" })),
    reasonOf(state.set("k", "3", { ifValue: "1" })),
  ]
  while (daemon.frames.length < before + 2) await new Promise((resolve) => setTimeout(resolve, 2))
  daemon.onFrame = () => "answer"
  daemon.onCall = () => undefined
  expect(await Promise.all(calls)).toEqual(["CONDITION_FAILED", "none"])
  expect(daemon.valueOf("k")).toBe("3")
})

test("client: the caller's bytes of conditions may change as soon as the call returns, also while it waits", async () => {
  const { state } = await pair({ partitionCount: 1 }, { inflightBytesMax: 1 })
  const [key, value, expected] = [Buffer.from("k"), Buffer.from("1"), Buffer.from("0")]
  const calls = [
    state.set("k", "0"),
    state.set(key, value, { ifValue: expected }),
    state.write([{ key: "x", value: "1" }], { expected: [{ key, value }] }),
  ]
  for (const bytes of [key, value, expected]) bytes.fill(0)
  await Promise.all(calls)
  expect(String(await state.getMany(["k", "x"]))).toBe("1,1")
})

test("clients that count by compare and set, against a daemon: the sum is exact", async () => {
  const daemon = await startDaemon()
  onTestFinished(() => daemon.stop())
  const counters = ["red", "green", "blue"]
  const increments = 60
  let refusals = 0
  /** Adds one to what the caller knows of the key; asks anew when it is no longer so. */
  const count = async (state: State, key: string, known: Buffer | undefined): Promise<void> => {
    for (let before = known; ; before = await state.get(key)) {
      const next = String(Number(before ?? 0) + 1)
      try {
        await state.set(key, next, before === undefined ? { ifAbsent: true } : { ifValue: before })
        return
      } catch (error) {
        if (!isVarveError(error, "CONDITION_FAILED")) throw error
        expect(error.retryable).toBe(false)
        refusals++
      }
    }
  }
  const states = Array.from({ length: 8 }, () => open(daemon.grpc))
  // All of them believe that there is nothing: seven are wrong.
  expect(await Promise.all(states.map((state) => state.get("red")))).toEqual(states.map(() => undefined))
  const workers = states.map(async (state) => {
    await count(state, "red", undefined)
    for (let n = 1; n < increments; n++) {
      const key = counters[n % counters.length]!
      await count(state, key, await state.get(key))
    }
  })
  await Promise.all(workers)
  const values = await open(daemon.grpc).getMany(counters)
  const total = (8 * increments) / counters.length
  expect(values.map(String)).toEqual([`${total}`, `${total}`, `${total}`])
  expect(refusals).toBeGreaterThanOrEqual(7)
})
