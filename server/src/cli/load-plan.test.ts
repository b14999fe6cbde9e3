import { decodeKeys, decodeRecords, partitionOfKey } from "@varve/proto"
import { expect, test } from "vitest"
import { fillFrames, LOAD_KEY_PREFIX, type LoadOptions, loadFrames, loadKeys } from "./load-plan.ts"

const options: LoadOptions = { requests: 1000, batch: 10, clients: 1, valueBytes: 5, keys: 50, reads: 50 }

test("load plan: keys lie in the partition of their hash", () => {
  const keys = loadKeys(50, 4, false)
  expect(keys.flat()).toHaveLength(50)
  for (const [partition, own] of keys.entries()) {
    for (const key of own) expect(partitionOfKey(key, 4)).toBe(partition)
  }
})

test("load plan: with explicit partitions keys are dealt out in turn", () => {
  const numbers = loadKeys(10, 4, true).map((own) => own.map((key) => Number(key.subarray(-1).toString())))
  expect(numbers).toEqual([
    [0, 4, 8],
    [1, 5, 9],
    [2, 6],
    [3, 7],
  ])
})

test("load plan: frames hold records of one partition, about as many reads as asked for", () => {
  const keys = loadKeys(options.keys, 4, false)
  const frames = loadFrames(keys, options)
  expect(frames).toHaveLength(100)
  for (const { kind, bytes, partition, records } of frames) {
    const found = kind === "reads" ? decodeKeys(bytes) : decodeRecords(bytes).map(({ key }) => key)
    expect(found).toHaveLength(records)
    for (const key of found) expect(partitionOfKey(key, 4)).toBe(partition)
  }
  const reads = frames.filter(({ kind }) => kind === "reads").length
  expect(reads).toBeGreaterThan(30)
  expect(reads).toBeLessThan(70)
  expect(loadFrames(keys, { ...options, reads: 0 }).every(({ kind }) => kind === "writes")).toBe(true)
  expect(loadFrames(keys, { ...options, reads: 100 }).every(({ kind }) => kind === "reads")).toBe(true)
})

test("load plan: a partition without keys gets no frame", () => {
  const frames = loadFrames(loadKeys(1, 4, false), options)
  expect(new Set(frames.map(({ partition }) => partition)).size).toBe(1)
})

test("load plan: filling writes every key once, with the value given", () => {
  const keys = loadKeys(25, 2, true)
  const records = fillFrames(keys, 10, Buffer.from("v")).flatMap(({ bytes }) => decodeRecords(bytes))
  expect(new Set(records.map(({ key }) => Buffer.from(key).toString())).size).toBe(25)
  expect(records).toHaveLength(25)
  for (const { key, value } of records) {
    expect(Buffer.from(key).toString().startsWith(LOAD_KEY_PREFIX)).toBe(true)
    expect(Buffer.from(value).toString()).toBe("v")
  }
})
