import { expect, test } from "vitest"
import {
  crc16,
  overlappingPartitions,
  partitionOfKey,
  partitionOfSlot,
  SLOT_COUNT,
  slotOfKey,
  slotRange,
} from "./slot.ts"

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

test("crc16: whatever the length, the same as bit by bit", () => {
  const bytes = Uint8Array.from({ length: 67 }, (_, at) => (at * 151 + 7) & 0xff)
  for (let start = 0; start < 5; start++) {
    for (let end = start; end <= bytes.length; end++) {
      let crc = 0
      for (const byte of bytes.subarray(start, end)) {
        crc ^= byte << 8
        for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ ((crc & 0x8000) === 0 ? 0 : 0x1021)) & 0xffff
      }
      expect(crc16(bytes, start, end)).toBe(crc)
    }
  }
})

test("partition: those of another count overlap exactly when a slot is in both", () => {
  const counts = [1, 2, 3, 4, 5, 7, 16, 100, SLOT_COUNT]
  const seen = counts.map(() => new Set<string>())
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const five = partitionOfSlot(slot, 5)
    for (const [at, count] of counts.entries()) seen[at]!.add(`${five} ${partitionOfSlot(slot, count)}`)
  }
  for (const [at, count] of counts.entries()) {
    const found = [0, 1, 2, 3, 4].flatMap((five) =>
      overlappingPartitions(five, 5, count).map((other) => `${five} ${other}`),
    )
    expect(new Set(found)).toEqual(seen[at])
    expect(found.length).toBe(seen[at]!.size)
  }
})
