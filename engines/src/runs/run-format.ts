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
//       56     4  hash seed       of the hashes in section `hashes`, or in the filter
//       60     4  block bytes     RUN_BLOCK_BYTES
//       64     2  level
//       66     2  section count
//       68     4  directory crc32
//       72    12  reserved        zero
//       84     4  format          RUN_FORMAT of the writer
//       88     4  crc32           of bytes [0, 88)
//       92     4  magic           "VRUN"
//
//   section `filter`: bit count u64 | probe count u32 | reserved u32 zero | bits
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

/** Kinds of sections; a number is never given again. */
export const sectionKinds = { hashes: 1, checksums: 2, fences: 3, filter: 4 } as const

/** The sections of a run in file order: of one whose records are found by hash, and of one sorted by key. */
const hashedKinds = [sectionKinds.hashes, sectionKinds.checksums]
const sortedKinds = [sectionKinds.fences, sectionKinds.filter, sectionKinds.checksums]

/** Directory and trailer at most: what opening a run reads first. */
export const RUN_TAIL_BYTES_MAX = tailBytes(sortedKinds.length)

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
/** An entry of section `fences` before its key: offset u48 | key length u16. */
export const FENCE_HEADER_BYTES = 8
/** What stands before the bits in section `filter`. */
export const FILTER_HEADER_BYTES = 16
/** Positions in a filter have 32 bits. */
export const FILTER_BITS_MAX = 2 ** 32

export interface RunSection {
  readonly offset: number
  readonly bytes: number
  readonly crc: number
}

/** All that directory and trailer say. */
export interface RunLayout {
  readonly figures: RunFigures
  readonly hashSeed: number
  /** What finds a record: by its hash, or, in a sorted run, by its key. */
  readonly index: HashedSections | SortedSections
  readonly checksums: RunSection
}

export interface HashedSections {
  readonly hashes: RunSection
}

export interface SortedSections {
  readonly fences: RunSection
  readonly filter: RunSection
}

/** How many blocks `bytes` from the start of the file fill. */
export function blockCount(bytes: number): number {
  return Math.ceil(bytes / RUN_BLOCK_BYTES)
}

/** Bytes of the directory and trailer of a run with this index. */
export function runTailBytes(index: RunLayout["index"]): number {
  return tailBytes("hashes" in index ? hashedKinds.length : sortedKinds.length)
}

/** Directory and trailer of a run. Called once a run. */
export function encodeRunTail(layout: RunLayout): Uint8Array {
  const { figures, index, checksums } = layout
  assert(/^[0-9a-f]{32}$/.test(figures.id), "a run id has 32 hex digits")
  const kinds = "hashes" in index ? hashedKinds : sortedKinds
  const sections = [...("hashes" in index ? [index.hashes] : [index.fences, index.filter]), checksums]
  let sectionsEnd = figures.recordsBytes
  for (const section of sections) {
    assert(section.offset === sectionsEnd, "sections follow the records, one behind the other")
    sectionsEnd += section.bytes
  }
  const bytes = new Uint8Array(tailBytes(sections.length))
  assert(figures.bytes === sectionsEnd + bytes.length, "the tail follows the checksums")
  assert(figures.level <= RUN_LEVEL_MAX, "a level fits its field")
  const directoryBytes = sections.length * RUN_SECTION_ENTRY_BYTES
  const directory = new DataView(bytes.buffer, 0, directoryBytes)
  sections.forEach((section, i) => {
    encodeSection(directory, i * RUN_SECTION_ENTRY_BYTES, kinds[i]!, section)
  })
  const trailer = new DataView(bytes.buffer, directoryBytes)
  bytes.set(Buffer.from(figures.id, "hex"), directoryBytes)
  setU64(trailer, RECORDS_BYTES_OFFSET, figures.recordsBytes)
  setU64(trailer, RECORD_COUNT_OFFSET, figures.recordCount)
  setU64(trailer, TOMBSTONE_COUNT_OFFSET, figures.tombstoneCount)
  setU64(trailer, RUN_OFFSET, figures.run)
  setU64(trailer, VERSION_OFFSET, figures.version)
  trailer.setUint32(HASH_SEED_OFFSET, layout.hashSeed, true)
  trailer.setUint32(BLOCK_BYTES_OFFSET, RUN_BLOCK_BYTES, true)
  trailer.setUint16(LEVEL_OFFSET, figures.level, true)
  trailer.setUint16(SECTION_COUNT_OFFSET, sections.length, true)
  trailer.setUint32(DIRECTORY_CRC_OFFSET, crc32(bytes.subarray(0, directoryBytes)), true)
  trailer.setUint32(FORMAT_OFFSET, RUN_FORMAT, true)
  const covered = bytes.subarray(directoryBytes, directoryBytes + CRC_OFFSET)
  trailer.setUint32(CRC_OFFSET, crc32(covered), true)
  trailer.setUint32(MAGIC_OFFSET, MAGIC, true)
  return bytes
}

/**
 * Reads the last bytes of a run file: `tail` are the last RUN_TAIL_BYTES_MAX of it, or all of a shorter file.
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
  const sectionCount = trailer.getUint16(SECTION_COUNT_OFFSET, true)
  if (sectionCount !== hashedKinds.length && sectionCount !== sortedKinds.length) {
    throw runDamage(path, "bad section count")
  }
  for (let at = RESERVED_OFFSET; at < FORMAT_OFFSET; at++) {
    if (trailer.getUint8(at) !== 0) throw runDamage(path, "bad reserved bytes in the trailer")
  }
  const directoryStart = trailerStart - sectionCount * RUN_SECTION_ENTRY_BYTES
  if (directoryStart < 0) throw runDamage(path, `${fileBytes} bytes are too few for a run`)
  if (trailer.getUint32(DIRECTORY_CRC_OFFSET, true) !== crc32(tail.subarray(directoryStart, trailerStart))) {
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
  const directory = new DataView(tail.buffer, tail.byteOffset + directoryStart, trailerStart - directoryStart)
  const kinds = sectionCount === hashedKinds.length ? hashedKinds : sortedKinds
  const sections = kinds.map((kind, i) => decodeSection(directory, i * RUN_SECTION_ENTRY_BYTES, kind, path))
  const [first, second, third] = sections
  const index = third === undefined ? { hashes: first! } : { fences: first!, filter: second! }
  const checksums = third ?? second!
  checkExtents({ figures, index, checksums }, path)
  return { figures, hashSeed: trailer.getUint32(HASH_SEED_OFFSET, true), index, checksums }
}

/** The error of a damaged run: names the file and what is wrong. */
export function runDamage(path: string, what: string): EngineError {
  return new EngineError("DATA_LOSS", `run ${path} is damaged: ${what}`)
}

/** Sections follow the records without gaps, lengths follow from counts, and together they are the file. */
function checkExtents({ figures, index, checksums }: Omit<RunLayout, "hashSeed">, path: string): void {
  const { recordsBytes, recordCount, tombstoneCount } = figures
  if (!(recordsBytes <= RUN_RECORDS_BYTES_MAX)) throw runDamage(path, "bad length of the records")
  if (!(tombstoneCount <= recordCount)) throw runDamage(path, "bad tombstone count")
  if (!(recordCount <= recordsBytes)) throw runDamage(path, "bad record count")
  let checksumsOffset: number
  if ("hashes" in index) {
    const { hashes } = index
    if (hashes.offset !== recordsBytes || hashes.bytes !== recordCount * HASH_ENTRY_BYTES) {
      throw runDamage(path, "bad extent of the hashes")
    }
    checksumsOffset = hashes.offset + hashes.bytes
  } else {
    const { fences, filter } = index
    // Their own lengths are checked when they are read; they are never longer than the file.
    if (fences.offset !== recordsBytes || !(fences.bytes <= figures.bytes)) {
      throw runDamage(path, "bad extent of the fences")
    }
    const isFilterLength = filter.bytes >= FILTER_HEADER_BYTES && filter.bytes <= figures.bytes
    if (filter.offset !== fences.offset + fences.bytes || !isFilterLength) {
      throw runDamage(path, "bad extent of the filter")
    }
    checksumsOffset = filter.offset + filter.bytes
  }
  if (
    checksums.offset !== checksumsOffset ||
    checksums.bytes !== blockCount(checksumsOffset) * CHECKSUM_BYTES
  ) {
    throw runDamage(path, "bad extent of the checksums")
  }
  if (checksums.offset + checksums.bytes + runTailBytes(index) !== figures.bytes) {
    throw runDamage(path, `bad length of the file: ${figures.bytes} bytes`)
  }
}

function tailBytes(sectionCount: number): number {
  return sectionCount * RUN_SECTION_ENTRY_BYTES + RUN_TRAILER_BYTES
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
