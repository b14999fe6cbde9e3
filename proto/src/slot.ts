// Where a key lives: slot = CRC16(key) mod 16384, as in Redis Cluster (polynomial 0x1021, start 0, the variant
// called XMODEM), and the slots are dealt to partitions in equal ranges.
//
// Hash tag: when the key has a "{", a "}" behind it, and at least one byte between the first "{" and the first
// "}" behind it, only these bytes are hashed: keys that share a tag share a partition.

/** Slots are numbered from 0 to one below this. */
export const SLOT_COUNT = 16_384
/** Each partition owns one slot at least. */
export const PARTITION_COUNT_MAX = 16_384

const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

// What a byte does to the checksum when it is followed by none, one, two or three: four bytes in one step.
const crc16Table = buildCrc16Table()
const crc16Table1 = followedByZero(crc16Table)
const crc16Table2 = followedByZero(crc16Table1)
const crc16Table3 = followedByZero(crc16Table2)

/** CRC16 XMODEM of `bytes[start, end)`. */
export function crc16(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0
  let at = start
  // A byte at a time each step waits for the one before; four at a time look up side by side.
  for (; at + 4 <= end; at += 4) {
    crc =
      crc16Table3[(crc >>> 8) ^ bytes[at]!]! ^
      crc16Table2[(crc & 0xff) ^ bytes[at + 1]!]! ^
      crc16Table1[bytes[at + 2]!]! ^
      crc16Table[bytes[at + 3]!]!
  }
  for (; at < end; at++) crc = ((crc << 8) & 0xffff) ^ crc16Table[(crc >>> 8) ^ bytes[at]!]!
  return crc
}

/** The slot of the key in `bytes[start, end)`, 0 to 16 383. */
export function slotOfKey(bytes: Uint8Array, start = 0, end = bytes.length): number {
  for (let open = start; open < end; open++) {
    if (bytes[open] !== OPEN_BRACE) continue
    for (let close = open + 1; close < end; close++) {
      if (bytes[close] !== CLOSE_BRACE) continue
      if (close > open + 1) return crc16(bytes, open + 1, close) & (SLOT_COUNT - 1)
      break
    }
    break // Only the first "{" counts, and only with the first "}" behind it.
  }
  return crc16(bytes, start, end) & (SLOT_COUNT - 1)
}

/** The partition, of `partitionCount`, that owns `slot`. */
export function partitionOfSlot(slot: number, partitionCount: number): number {
  // The highest p with floor(p * 16384 / P) <= slot, that is p * 16384 < (slot + 1) * P.
  return Math.floor(((slot + 1) * partitionCount - 1) / SLOT_COUNT)
}

/** The partition, of `partitionCount`, of the key in `bytes[start, end)`. */
export function partitionOfKey(
  bytes: Uint8Array,
  partitionCount: number,
  start = 0,
  end = bytes.length,
): number {
  return partitionCount === 1 ? 0 : partitionOfSlot(slotOfKey(bytes, start, end), partitionCount)
}

/** First and last slot that partition `partition` of `partitionCount` owns, both included. */
export function slotRange(partition: number, partitionCount: number): { first: number; last: number } {
  return {
    first: Math.floor((partition * SLOT_COUNT) / partitionCount),
    last: Math.floor(((partition + 1) * SLOT_COUNT) / partitionCount) - 1,
  }
}

/** Partitions of `otherCount`, ascending, that share slots with partition `partition` of `partitionCount`. */
export function overlappingPartitions(
  partition: number,
  partitionCount: number,
  otherCount: number,
): number[] {
  const { first, last } = slotRange(partition, partitionCount)
  const from = partitionOfSlot(first, otherCount)
  return Array.from({ length: partitionOfSlot(last, otherCount) - from + 1 }, (_, i) => from + i)
}

/** The table for bytes that one more byte follows than those of `table`. */
function followedByZero(table: Uint16Array): Uint16Array {
  return table.map((crc) => ((crc << 8) & 0xffff) ^ crc16Table[crc >>> 8]!)
}

function buildCrc16Table(): Uint16Array {
  const table = new Uint16Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ ((crc & 0x8000) === 0 ? 0 : 0x1021)) & 0xffff
    table[byte] = crc
  }
  return table
}
