import { expect, test } from "vitest"
import { movableBuffers } from "./movable-buffers.ts"

test("buffers are found at any depth, each once", () => {
  const [a, b, c, d] = [1, 2, 3, 4].map((bytes) => new Uint8Array(bytes)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  const value = {
    list: [a, a.subarray(1), b.buffer],
    map: new Map([["c", { view: new DataView(c.buffer) }]]),
    set: new Set([d]),
    plain: [1, "text", null, undefined],
  }
  const found = movableBuffers(value)
  expect(new Set(found)).toEqual(new Set([a.buffer, b.buffer, c.buffer, d.buffer]))
  expect(found).toHaveLength(4)
})

test("memory that cannot be moved is left out: the pool of small Buffers, and shared memory", () => {
  const pooled = Buffer.from("cut from the pool")
  const whole = Buffer.alloc(20_000)
  const shared = new Uint8Array(new SharedArrayBuffer(8))
  expect(pooled.buffer.byteLength).toBeGreaterThan(pooled.byteLength)
  expect(movableBuffers([pooled, whole, shared])).toEqual([whole.buffer])
})

test("a value that holds itself is no endless loop", () => {
  const value: { self?: unknown; bytes: Uint8Array } = { bytes: new Uint8Array(1) }
  value.self = value
  expect(movableBuffers(value)).toEqual([value.bytes.buffer])
})
