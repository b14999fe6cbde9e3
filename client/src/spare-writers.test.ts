import { decodeRecords } from "@varve/proto"
import { expect, test } from "vitest"
import { SpareWriters } from "./spare-writers.ts"

test("spare writers: one that is taken again is empty and keeps its buffer", () => {
  const spares = new SpareWriters()
  const first = spares.take()
  first.add(Buffer.from("key"), Buffer.alloc(5_000, 1))
  const { capacity } = first
  spares.give(first)
  const again = spares.take()
  expect(again).toBe(first)
  expect([again.bytes, again.count, again.capacity]).toEqual([0, 0, capacity])
  again.add(Buffer.from("k"), Buffer.from("v"))
  expect(decodeRecords(again.written).length).toBe(1)
  expect(Buffer.from(again.written)).toEqual(Buffer.from([1, 1, 0, 0x6b, 0x76]))
})

test("spare writers: what is too much, in bytes or in number, is let go", () => {
  const spares = new SpareWriters()
  const large = Array.from({ length: 10 }, () => spares.take())
  for (const writer of large) writer.add(Buffer.from("key"), Buffer.alloc(1024 * 1024))
  for (const writer of large) spares.give(writer)
  expect(large.map(() => spares.take()).filter((writer) => large.includes(writer)).length).toBe(7)
  const given = Array.from({ length: 40 }, () => new SpareWriters().take())
  for (const writer of given) spares.give(writer)
  const kept = given.map(() => spares.take()).filter((writer) => given.includes(writer))
  expect(kept.length).toBe(16)
})
