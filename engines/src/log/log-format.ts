// Bytes of a log's segments. Everything is little-endian and in sectors of 512 bytes, the unit that a disk writes
// whole or not at all. Limits of the log stand here too.
//
//   segment := header sector | sector*                 as many as the header says; written as zeros ahead of time
//
//   header, sector 0              sector of a group, sectors 1…
//   offset  bytes                 offset  bytes
//      0    4   magic "VLOG"         0    4   crc32 of bytes [4, 512), seeded with crc32(id | number)
//      4    4   crc32 of [8, 512)    4    4   number of this sector
//      8    4   format               8    4   number of the sector in which the group begins
//     12    4   reserved, 0         12    4   bytes of the group
//     16   16   id of the log       16    8   position of the group's first entry
//     32    8   number of segment   24  488   the group's bytes; zeros behind its end
//     40    8   bytes of the file
//     48  464   reserved, 0
//
//   group := entry+                 entry := length u32 | bytes
//
// Every sector says to which group it belongs, so one sector alone shows how far its group reaches.

import { crc32 } from "node:zlib"
import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"

export const LOG_FORMAT = 1
export const SECTOR_BYTES = 512
export const SECTOR_HEADER_BYTES = 24
export const SECTOR_PAYLOAD_BYTES = SECTOR_BYTES - SECTOR_HEADER_BYTES
export const ENTRY_HEADER_BYTES = 4
export const LOG_ID_BYTES = 16

/** Longest entry: above the largest record with its key, below what a length of 32 bits holds. */
export const LOG_ENTRY_BYTES_MAX = 512 * 1024 * 1024
/** Entries that wait for a sync have so many bytes together; one that is longer waits alone. */
export const LOG_PENDING_BYTES_MAX = 64 * 1024 * 1024
/** A group that has so many bytes takes no more entries. One sync writes a group. */
export const LOG_GROUP_BYTES_MAX = 4 * 1024 * 1024
/** Range of the setting `segmentBytes`. A segment is longer when one group needs it. */
export const SEGMENT_BYTES_MIN = 4 * SECTOR_BYTES
export const SEGMENT_BYTES_MAX = 1024 * 1024 * 1024
export const SEGMENT_BYTES_DEFAULT = 16 * 1024 * 1024

const MAGIC = 0x474f4c56
const HEADER_FIELDS_BYTES = 48

assert(HEADER_FIELDS_BYTES <= SECTOR_BYTES, "the header fits a sector")
assert(LOG_ENTRY_BYTES_MAX + LOG_GROUP_BYTES_MAX < 2 ** 32, "the bytes of a group fit 32 bits")
assert(SECTOR_HEADER_BYTES + SECTOR_PAYLOAD_BYTES === SECTOR_BYTES, "a sector is full")

/** Which segment of which log. */
export interface SegmentName {
  /** 32 hex digits. */
  readonly id: string
  readonly number: number
}

/** What a sector says of its group. */
export interface SectorHeader {
  /** Number of the sector in which the group begins. */
  readonly begin: number
  readonly groupBytes: number
  /** Position of the first entry. */
  readonly first: number
}

/** Sectors that a group of so many bytes takes. */
export function sectorsOf(groupBytes: number): number {
  return Math.ceil(groupBytes / SECTOR_PAYLOAD_BYTES)
}

/** Where the checksums of a segment's sectors start from: a sector of another segment never passes. */
export function segmentSeed({ id, number }: SegmentName): number {
  const identity = Buffer.alloc(LOG_ID_BYTES + 8)
  identity.write(id, "hex")
  identity.writeBigUInt64LE(BigInt(number), LOG_ID_BYTES)
  return crc32(identity)
}

/** The header sector of a segment file of `fileBytes`. */
export function encodeSegmentHeader({ id, number }: SegmentName, fileBytes: number): Buffer {
  const sector = Buffer.alloc(SECTOR_BYTES)
  sector.writeUInt32LE(MAGIC, 0)
  sector.writeUInt32LE(LOG_FORMAT, 8)
  sector.write(id, 16, "hex")
  sector.writeBigUInt64LE(BigInt(number), 32)
  sector.writeBigUInt64LE(BigInt(fileBytes), 40)
  sector.writeUInt32LE(crc32(sector.subarray(8)), 4)
  return sector
}

/**
 * Checks the first sector of a file that is to be this segment.
 * @throws EngineError `DATA_LOSS`, `FORMAT_NEWER`
 */
export function checkSegmentHeader(
  sector: Uint8Array,
  name: SegmentName,
  fileBytes: number,
  path: string,
): void {
  const view = Buffer.from(sector.buffer, sector.byteOffset, sector.length)
  if (sector.length < SECTOR_BYTES) throw logDamage(path, 0, `${sector.length} bytes are no whole header`)
  if (view.readUInt32LE(0) !== MAGIC) throw logDamage(path, 0, "it does not begin with VLOG")
  if (view.readUInt32LE(4) !== crc32(view.subarray(8, SECTOR_BYTES))) {
    throw logDamage(path, 0, "the checksum of the header does not match")
  }
  const format = view.readUInt32LE(8)
  if (format > LOG_FORMAT) {
    throw new EngineError(
      "FORMAT_NEWER",
      `${path} has format ${format}; this software reads formats up to ${LOG_FORMAT}: use a newer one`,
    )
  }
  const expected = Buffer.from(encodeSegmentHeader(name, fileBytes))
  if (!expected.equals(view.subarray(0, SECTOR_BYTES))) {
    throw logDamage(path, 0, `it is not segment ${name.number} of log ${name.id} with ${fileBytes} bytes`)
  }
}

/** Completes the sector at `bytes[offset…]`, whose payload is in place. `number` is the sector's own. */
export function sealSector(
  bytes: Buffer,
  offset: number,
  number: number,
  header: SectorHeader,
  seed: number,
): void {
  bytes.writeUInt32LE(number, offset + 4)
  bytes.writeUInt32LE(header.begin, offset + 8)
  bytes.writeUInt32LE(header.groupBytes, offset + 12)
  bytes.writeUInt32LE(header.first % 2 ** 32, offset + 16)
  bytes.writeUInt32LE(Math.floor(header.first / 2 ** 32), offset + 20)
  bytes.writeUInt32LE(crc32(bytes.subarray(offset + 4, offset + SECTOR_BYTES), seed), offset)
}

/** The header of sector `number` at `bytes[offset…]`; undefined when the sector is not a whole one of this segment. */
export function readSector(
  bytes: Buffer,
  offset: number,
  number: number,
  seed: number,
): SectorHeader | undefined {
  if (bytes.readUInt32LE(offset) !== crc32(bytes.subarray(offset + 4, offset + SECTOR_BYTES), seed))
    return undefined
  if (bytes.readUInt32LE(offset + 4) !== number) return undefined
  return {
    begin: bytes.readUInt32LE(offset + 8),
    groupBytes: bytes.readUInt32LE(offset + 12),
    first: bytes.readUInt32LE(offset + 20) * 2 ** 32 + bytes.readUInt32LE(offset + 16),
  }
}

/** Damage of a log: names the file and the byte at which it was found. */
export function logDamage(path: string, offset: number, what: string): EngineError {
  return new EngineError("DATA_LOSS", `log ${path} is damaged at byte ${offset}: ${what}`)
}
