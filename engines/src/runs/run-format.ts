// The bytes of a run that are not records. The grammar, the sections and an example stand in README.md.
//
//   run := records | section* | directory | trailer         all integers little-endian
//
//   directory entry, one a section, in file order
//   offset  size  field
//        0     1  kind            sectionKinds
//        1     3  reserved        zero
//        4     4  crc32           of the section
//        8     8  section offset  from the start of the file
//       16     8  section bytes
//
//   trailer, the last 96 bytes of the file
//   offset  size  field
//        0    16  id              random; the same id is the same content
//       16     8  records bytes   also the offset of the first section
//       24     8  record count    listed records, tombstones included
//       32     8  tombstone count
//       40     8  run             number of the run
//       48     8  version
//       56     4  hash seed       of the hashes in section `hashes`
//       60     4  block bytes     RUN_BLOCK_BYTES
//       64     2  level
//       66     2  section count
//       68     4  directory crc32
//       72    12  reserved        zero
//       84     4  format          RUN_FORMAT of the writer
//       88     4  crc32           of bytes [0, 88)
//       92     4  magic           "VRUN"
//
// Trailer length, format, crc32 and magic keep their place in every later format.

import { crc32 } from "node:zlib"
import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import { RUN_LEVEL_MAX, type RunFigures } from "./run.ts"

export const RUN_FORMAT = 1
/** Every block of the file before the checksums has one of them; the last block may be shorter. */
export const RUN_BLOCK_BYTES = 4096
export const RUN_TRAILER_BYTES = 96
export const RUN_SECTION_ENTRY_BYTES = 24
/** Offsets in a run have 46 bits: what is left of 48 with the marks that an index sets (see address.ts). */
export const RUN_RECORDS_BYTES_MAX = 2 ** 46

/** Kinds of sections; a number is never given again. Both are in every run, in this order, and no others. */
export const sectionKinds = { hashes: 1, checksums: 2 } as const

const SECTION_COUNT = 2
const DIRECTORY_BYTES = SECTION_COUNT * RUN_SECTION_ENTRY_BYTES
/** Directory and trailer: what opening a run reads first. */
export const RUN_TAIL_BYTES = DIRECTORY_BYTES + RUN_TRAILER_BYTES

const ID_BYTES = 16
const RECORDS_BYTES_OFFSET = 16
const RECORD_COUNT_OFFSET = 24
const TOMBSTONE_COUNT_OFFSET = 32
const RUN_OFFSET = 40
const VERSION_OFFSET = 48
const HASH_SEED_OFFSET = 56
const BLOCK_BYTES_OFFSET = 60
const LEVEL_OFFSET = 64
const SECTION_COUNT_OFFSET = 66
const DIRECTORY_CRC_OFFSET = 68
const RESERVED_OFFSET = 72
const FORMAT_OFFSET = 84
const CRC_OFFSET = 88
const MAGIC_OFFSET = 92
const MAGIC = 0x4e555256 // "VRUN" read as u32
const U32_SPAN = 2 ** 32

assert(MAGIC_OFFSET + 4 === RUN_TRAILER_BYTES, "the trailer has no gap")

/** An entry of section `hashes`: h1 u32 | h2 u16 | offset u48, whose bit 47 marks a tombstone. */
export const HASH_ENTRY_BYTES = 12
/** A checksum of section `checksums`: crc32 of a block. */
export const CHECKSUM_BYTES = 4

export interface RunSection {
  readonly offset: number
  readonly bytes: number
  readonly crc: number
}

/** All that directory and trailer say. */
export interface RunLayout {
  readonly figures: RunFigures
  readonly hashSeed: number
  readonly hashes: RunSection
  readonly checksums: RunSection
}

/** How many blocks `bytes` from the start of the file fill. */
export function blockCount(bytes: number): number {
  return Math.ceil(bytes / RUN_BLOCK_BYTES)
}

/** Directory and trailer of a run, RUN_TAIL_BYTES. Called once a run. */
export function encodeRunTail(layout: RunLayout): Uint8Array {
  const { figures, hashes, checksums } = layout
  assert(/^[0-9a-f]{32}$/.test(figures.id), "a run id has 32 hex digits")
  assert(hashes.offset === figures.recordsBytes, "hashes follow the records")
  assert(checksums.offset === hashes.offset + hashes.bytes, "checksums follow the hashes")
  assert(
    figures.bytes === checksums.offset + checksums.bytes + RUN_TAIL_BYTES,
    "the tail follows the checksums",
  )
  assert(figures.level <= RUN_LEVEL_MAX, "a level fits its field")
  const bytes = new Uint8Array(RUN_TAIL_BYTES)
  const directory = new DataView(bytes.buffer, 0, DIRECTORY_BYTES)
  encodeSection(directory, 0, sectionKinds.hashes, hashes)
  encodeSection(directory, RUN_SECTION_ENTRY_BYTES, sectionKinds.checksums, checksums)
  const trailer = new DataView(bytes.buffer, DIRECTORY_BYTES)
  bytes.set(Buffer.from(figures.id, "hex"), DIRECTORY_BYTES)
  setU64(trailer, RECORDS_BYTES_OFFSET, figures.recordsBytes)
  setU64(trailer, RECORD_COUNT_OFFSET, figures.recordCount)
  setU64(trailer, TOMBSTONE_COUNT_OFFSET, figures.tombstoneCount)
  setU64(trailer, RUN_OFFSET, figures.run)
  setU64(trailer, VERSION_OFFSET, figures.version)
  trailer.setUint32(HASH_SEED_OFFSET, layout.hashSeed, true)
  trailer.setUint32(BLOCK_BYTES_OFFSET, RUN_BLOCK_BYTES, true)
  trailer.setUint16(LEVEL_OFFSET, figures.level, true)
  trailer.setUint16(SECTION_COUNT_OFFSET, SECTION_COUNT, true)
  trailer.setUint32(DIRECTORY_CRC_OFFSET, crc32(bytes.subarray(0, DIRECTORY_BYTES)), true)
  trailer.setUint32(FORMAT_OFFSET, RUN_FORMAT, true)
  const covered = bytes.subarray(DIRECTORY_BYTES, DIRECTORY_BYTES + CRC_OFFSET)
  trailer.setUint32(CRC_OFFSET, crc32(covered), true)
  trailer.setUint32(MAGIC_OFFSET, MAGIC, true)
  return bytes
}

/**
 * Reads the last bytes of a run file: `tail` are the last RUN_TAIL_BYTES of it, or all of a shorter file.
 * @throws EngineError `DATA_LOSS`, `FORMAT_NEWER`, naming `path`
 */
export function decodeRunTail(tail: Uint8Array, fileBytes: number, path: string): RunLayout {
  if (tail.length < RUN_TRAILER_BYTES) throw runDamage(path, `${fileBytes} bytes are too few for a run`)
  const trailerStart = tail.length - RUN_TRAILER_BYTES
  const trailer = new DataView(tail.buffer, tail.byteOffset + trailerStart, RUN_TRAILER_BYTES)
  if (trailer.getUint32(MAGIC_OFFSET, true) !== MAGIC) throw runDamage(path, "bad magic in the trailer")
  const covered = tail.subarray(trailerStart, trailerStart + CRC_OFFSET)
  if (trailer.getUint32(CRC_OFFSET, true) !== crc32(covered)) {
    throw runDamage(path, "bad checksum of the trailer")
  }
  const format = trailer.getUint32(FORMAT_OFFSET, true)
  if (format > RUN_FORMAT) {
    throw new EngineError(
      "FORMAT_NEWER",
      `run ${path} has format ${format}; this software reads formats up to ${RUN_FORMAT}`,
    )
  }
  if (format !== RUN_FORMAT) throw runDamage(path, `bad format ${format}`)
  if (trailer.getUint32(BLOCK_BYTES_OFFSET, true) !== RUN_BLOCK_BYTES)
    throw runDamage(path, "bad block length")
  if (trailer.getUint16(SECTION_COUNT_OFFSET, true) !== SECTION_COUNT) {
    throw runDamage(path, "bad section count")
  }
  for (let at = RESERVED_OFFSET; at < FORMAT_OFFSET; at++) {
    if (trailer.getUint8(at) !== 0) throw runDamage(path, "bad reserved bytes in the trailer")
  }
  if (tail.length !== RUN_TAIL_BYTES) throw runDamage(path, `${fileBytes} bytes are too few for a run`)
  if (trailer.getUint32(DIRECTORY_CRC_OFFSET, true) !== crc32(tail.subarray(0, DIRECTORY_BYTES))) {
    throw runDamage(path, "bad checksum of the directory")
  }
  const figures: RunFigures = {
    id: Buffer.from(tail.buffer, tail.byteOffset + trailerStart, ID_BYTES).toString("hex"),
    level: trailer.getUint16(LEVEL_OFFSET, true),
    run: getU64(trailer, RUN_OFFSET),
    version: getU64(trailer, VERSION_OFFSET),
    bytes: fileBytes,
    recordsBytes: getU64(trailer, RECORDS_BYTES_OFFSET),
    recordCount: getU64(trailer, RECORD_COUNT_OFFSET),
    tombstoneCount: getU64(trailer, TOMBSTONE_COUNT_OFFSET),
  }
  if (figures.level > RUN_LEVEL_MAX) throw runDamage(path, `bad level ${figures.level}`)
  if (!(figures.run <= Number.MAX_SAFE_INTEGER)) throw runDamage(path, "bad run number")
  if (!(figures.version <= Number.MAX_SAFE_INTEGER)) throw runDamage(path, "bad version")
  const directory = new DataView(tail.buffer, tail.byteOffset, DIRECTORY_BYTES)
  const hashes = decodeSection(directory, 0, sectionKinds.hashes, path)
  const checksums = decodeSection(directory, RUN_SECTION_ENTRY_BYTES, sectionKinds.checksums, path)
  checkExtents(figures, hashes, checksums, path)
  return { figures, hashSeed: trailer.getUint32(HASH_SEED_OFFSET, true), hashes, checksums }
}

/** The error of a damaged run: names the file and what is wrong. */
export function runDamage(path: string, what: string): EngineError {
  return new EngineError("DATA_LOSS", `run ${path} is damaged: ${what}`)
}

/** Every length follows from `recordsBytes` and `recordCount`; together they are the file. */
function checkExtents(figures: RunFigures, hashes: RunSection, checksums: RunSection, path: string): void {
  const { recordsBytes, recordCount, tombstoneCount } = figures
  if (!(recordsBytes <= RUN_RECORDS_BYTES_MAX)) throw runDamage(path, "bad length of the records")
  if (!(tombstoneCount <= recordCount)) throw runDamage(path, "bad tombstone count")
  if (!(recordCount <= recordsBytes)) throw runDamage(path, "bad record count")
  if (hashes.offset !== recordsBytes || hashes.bytes !== recordCount * HASH_ENTRY_BYTES) {
    throw runDamage(path, "bad extent of the hashes")
  }
  const checksumsOffset = hashes.offset + hashes.bytes
  if (
    checksums.offset !== checksumsOffset ||
    checksums.bytes !== blockCount(checksumsOffset) * CHECKSUM_BYTES
  ) {
    throw runDamage(path, "bad extent of the checksums")
  }
  if (checksums.offset + checksums.bytes + RUN_TAIL_BYTES !== figures.bytes) {
    throw runDamage(path, `bad length of the file: ${figures.bytes} bytes`)
  }
}

function encodeSection(view: DataView, at: number, kind: number, section: RunSection): void {
  view.setUint8(at, kind)
  view.setUint32(at + 4, section.crc, true)
  setU64(view, at + 8, section.offset)
  setU64(view, at + 16, section.bytes)
}

function decodeSection(view: DataView, at: number, kind: number, path: string): RunSection {
  if (view.getUint8(at) !== kind) throw runDamage(path, `bad kind of section ${view.getUint8(at)}`)
  if (view.getUint8(at + 1) !== 0 || view.getUint16(at + 2, true) !== 0) {
    throw runDamage(path, "bad reserved bytes in the directory")
  }
  return { crc: view.getUint32(at + 4, true), offset: getU64(view, at + 8), bytes: getU64(view, at + 16) }
}

function setU64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "a field of 64 bits holds a safe integer")
  view.setUint32(at, value % U32_SPAN, true)
  view.setUint32(at + 4, Math.floor(value / U32_SPAN), true)
}

/** Exact up to 2^53; above, larger than that, which every user refuses. */
function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * U32_SPAN
}
