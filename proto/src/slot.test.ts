import { expect, test } from "vitest"
import { crc16, partitionOfKey, partitionOfSlot, SLOT_COUNT, slotOfKey, slotRange } from "./slot.ts"

const slotOf = (key: string): number => slotOfKey(Buffer.from(key))

test("crc16: the check value of 123456789 is that of XMODEM, and of nothing is zero", () => {
  expect(crc16(Buffer.from("123456789"))).toBe(0x31c3)
  expect(crc16(new Uint8Array(0))).toBe(0)
})

test("slot: known slots of Redis Cluster", () => {
  expect(slotOf("foo")).toBe(12182)
  expect(slotOf("bar")).toBe(5061)
  expect(slotOf("123456789")).toBe(0x31c3 & 0x3fff)
})

test("slot: only a hash tag counts", () => {
  expect(slotOf("{user1000}.following")).toBe(slotOf("user1000"))
  expect(slotOf("a{user1000}b")).toBe(slotOf("user1000"))
  expect(slotOf("foo{bar}{zap}")).toBe(slotOf("bar"))
  expect(slotOf("foo{{bar}}zap")).toBe(slotOf("{bar"))
})

test("slot: what is no hash tag does not count as one", () => {
  for (const key of ["foo{}{bar}", "foo{bar", "foo}bar{", "}{", "{}"]) {
    expect(slotOf(key)).toBe(crc16(Buffer.from(key)) & 0x3fff)
  }
})

test("slot: a key inside a larger buffer has the slot of the key alone", () => {
  const buffer = Buffer.from("x{zzz}foo{tag}bar}y")
  expect(slotOfKey(buffer, 6, 17)).toBe(slotOf("tag"))
  expect(partitionOfKey(buffer, 7, 6, 17)).toBe(partitionOfKey(Buffer.from("tag"), 7))
})

test("partition: every slot lies in the range of its partition, and ranges follow without a gap", () => {
  for (const partitionCount of [1, 2, 3, 4, 5, 7, 16, 100, 1000, 16_383, SLOT_COUNT]) {
    let next = 0
    for (let partition = 0; partition < partitionCount; partition++) {
      const { first, last } = slotRange(partition, partitionCount)
      const owners = [partitionOfSlot(first, partitionCount), partitionOfSlot(last, partitionCount)]
      if (first !== next || owners.some((owner) => owner !== partition)) {
        expect({ partitionCount, partition, first, owners }).toEqual({
          partitionCount,
          partition,
          first: next,
          owners: [partition, partition],
        })
      }
      next = last + 1
    }
    expect(next).toBe(SLOT_COUNT)
  }
})
