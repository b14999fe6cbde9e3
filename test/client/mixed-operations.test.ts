// Reads and writes that share frames: what fails fails alone, and each key sees its calls in the order in which they
// were made.

import { VarveError } from "@varve/proto"
import { expect, onTestFinished, test } from "vitest"
import { startDaemon } from "../server/daemon.ts"
import type { MemoryDaemonOptions } from "./memory-daemon.ts"
import { kindsOf } from "./memory-frames.ts"
import { open, type Pair, pair } from "./pair.ts"

/** A client that has asked for something already: the frames of the test begin with its own calls. */
async function warmPair(options: MemoryDaemonOptions = {}): Promise<Pair> {
  const { daemon, state } = await pair({ partitionCount: 1, ...options })
  await state.get("warm")
  daemon.frames.length = 0
  return { daemon, state }
}

const outcomeOf = async (call: Promise<unknown>): Promise<string> => {
  try {
    return String(await call)
  } catch (error) {
    if (error instanceof VarveError) return error.reason
    throw error
  }
}

test("client: an operation that fails fails its caller alone", async () => {
  const { daemon, state } = await warmPair()
  daemon.onOperation = ({ isRead, key }) => {
    const name = Buffer.from(key).toString()
    if (name === "bad") throw new VarveError(isRead ? "DATA_LOSS" : "VALUE_TOO_LARGE", "bad key")
  }
  const outcomes = await Promise.all(
    [
      state.set("a", "1"),
      state.set("bad", "2"),
      state.get("bad"),
      state.getMany(["a", "b"]),
      state.getMany(["a", "bad", "a"]),
      state.set("b", "3"),
      state.getMany(["a", "b"]),
      state.get("a"),
    ].map(outcomeOf),
  )
  expect(outcomes).toEqual([
    "undefined",
    "VALUE_TOO_LARGE",
    "DATA_LOSS",
    "1,",
    "DATA_LOSS",
    "undefined",
    "1,3",
    "1",
  ])
  expect(daemon.frames.map(kindsOf)).toEqual(["wwrrrrrrwrrr"])
})

test("client: where no writes are taken, writes of a frame fail and its reads do not", async () => {
  const { daemon, state } = await warmPair()
  await state.set("a", "old")
  daemon.writesError = new VarveError("STORAGE_FULL", "no space")
  const calls = [state.set("a", "1"), state.get("a"), state.delete("b"), state.getMany(["a", "b"])]
  expect(await Promise.all(calls.map(outcomeOf))).toEqual(["STORAGE_FULL", "old", "STORAGE_FULL", "old,"])
})

test("client: values that the answer had no room for are read again, and nothing is written twice", async () => {
  const { daemon, state } = await warmPair({ messageBytesMax: 300_000 })
  const keys = Array.from({ length: 20 }, (_, n) => `k${n}`)
  for (const key of keys) await state.set(key, key.repeat(20_000))
  daemon.frames.length = 0
  const written: string[] = []
  let last = ""
  daemon.onOperation = ({ isRead, key }) => {
    last = isRead ? "read" : "write"
    if (!isRead) written.push(Buffer.from(key).toString())
  }
  daemon.onCall = (name) => {
    last = name
  }
  const calls = keys.map((key) => [state.get(key), state.set(`new ${key}`, "v")] as const)
  const all = state.getMany(keys)
  const snapshot = state.snapshot({ version: 1 })
  const values = await Promise.all(calls.map(([read]) => read))
  expect(values.map((value) => value?.subarray(0, 3).toString())).toEqual(
    keys.map((key) => key.repeat(2).slice(0, 3)),
  )
  expect((await all).map(String)).toEqual(keys.map((key) => key.repeat(20_000)))
  await Promise.all(calls.map(([, write]) => write))
  expect(written).toEqual(keys.map((key) => `new ${key}`))
  expect(daemon.frames.length).toBeGreaterThan(5)
  await snapshot
  expect(last, "a version waits for what was called before, and read again").toBe("snapshot")
  // A caller that gave up in the middle is not waited for.
  const abort = new AbortController()
  daemon.onFrame = () => {
    if (daemon.frames.length > 5) abort.abort()
    return "answer"
  }
  daemon.frames.length = 0
  expect(await outcomeOf(state.getMany([...keys, ...keys], { signal: abort.signal }))).toBe("CANCELLED")
  expect(await outcomeOf(state.get("new k1"))).toBe("v")
})

test("a client of many callers, against a daemon: each key sees its calls in the order in which they are made", async () => {
  const daemon = await startDaemon()
  onTestFinished(() => daemon.stop())
  const state = open(daemon.grpc)
  const seed = Number(process.env["VARVE_TEST_SEED"] ?? 77)
  let random = seed
  const below = (limit: number): number => {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((random / 2 ** 32) * limit)
  }
  const model = new Map<string, string>()
  let made = 0
  /** Makes the next call; resolves to what is wrong with its answer. */
  const call = async (): Promise<string | undefined> => {
    const key = `k${below(40)}`
    const number = made++
    const wrong = (found: unknown, expected: unknown): string | undefined =>
      String(found) === String(expected)
        ? undefined
        : `seed ${seed}, call ${number}: ${found}, not ${expected}`
    switch (below(10)) {
      case 0: {
        const keys = Array.from({ length: 1 + below(8) }, () => `k${below(40)}`)
        const expected = keys.map((each) => model.get(each))
        return wrong(await state.getMany(keys), expected)
      }
      case 1: {
        const records = Array.from({ length: 1 + below(4) }, () => ({
          key: `k${below(40)}`,
          value: `${number}`,
        }))
        for (const record of records) model.set(record.key, record.value)
        return wrong(await state.write(records), undefined)
      }
      case 2:
        model.delete(key)
        return wrong(await state.delete(key), undefined)
      case 3:
      case 4:
      case 5:
        model.set(key, `${number}`)
        return wrong(await state.set(key, `${number}`), undefined)
      default: {
        const expected = model.get(key)
        return wrong(await state.get(key), expected)
      }
    }
  }
  const loops = Array.from({ length: 64 }, async () => {
    const faults: (string | undefined)[] = []
    for (let n = 0; n < 70; n++) {
      // Some callers have several calls on their way at a time.
      faults.push(...(await Promise.all(Array.from({ length: 1 + below(4) }, call))))
    }
    return faults.filter((fault) => fault !== undefined)
  })
  expect((await Promise.all(loops)).flat()).toEqual([])
  expect(made).toBeGreaterThan(8000)
  const keys = [...model.keys()]
  expect((await state.getMany(keys)).map(String)).toEqual(keys.map((key) => model.get(key)))
})
