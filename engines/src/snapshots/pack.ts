// A pack: many chunks in one object, so that a small change costs one write.
//
//   pack := chunk* | entry* | trailer                        all integers little-endian
//
//   entry      offset  size  field
//                   0    32  hash      SHA-256 of the chunk
//                  32     4  offset    of the chunk in the pack
//                  36     4  length    1 to CHUNK_BYTES_MAX
//                  40     4  crc32     of the chunk
//                  44     1  kind      of `region-kind.ts`
//                  45     3  reserved  zero
//
//   trailer    offset  size  field
//                   0    16  id        of the pack, as in its key
//                  16     4  count     of entries, at least 1
//                  20     4  bytes     of all chunks: where the entries start
//                  24     4  crc32     of the entries
//                  28     2  format    PACK_FORMAT of the writer
//                  30     2  reserved  zero
//                  32     4  crc32     of bytes [0, 32)
//                  36     4  magic     "VPCK"
//
// Invariants: chunks lie one behind the other in the order of their entries, without gaps; bytes + count * 48 + 40
// is the size of the object. Length and place of the trailer's last twelve bytes are the same in every format.

import { crc32 } from "node:zlib"
import { assert } from "../base/assert.ts"
import { CHUNK_BYTES_MAX, type ChunkList, HASH_BYTES } from "./chunk-list.ts"
import { isRegionKind } from "./region-kind.ts"
import { damaged, hexOf, idBytes, tooNew } from "./stored-bytes.ts"

const PACK_FORMAT = 1
export const PACK_ENTRY_BYTES = 48
export const PACK_TRAILER_BYTES = 40
/**
 * Size of a pack at most, unless one chunk alone is larger. A pack is held in memory while it is written; larger
 * ones would save few writes.
 */
export const PACK_BYTES_MAX = 32 * 1024 * 1024

const ENTRY = { hash: 0, offset: 32, length: 36, crc: 40, kind: 44, reserved: 45 } as const
const TRAILER = {
  id: 0,
  count: 16,
  bytes: 20,
  entriesCrc: 24,
  format: 28,
  reserved: 30,
  crc: 32,
  magic: 36,
} as const
const MAGIC = 0x4b435056 // "VPCK" read as u32 little-endian
const U32_MAX = 0xffff_ffff

assert(
  ENTRY.hash + HASH_BYTES === ENTRY.offset && ENTRY.reserved + 3 === PACK_ENTRY_BYTES,
  "entries have no gap",
)
assert(TRAILER.magic + 4 === PACK_TRAILER_BYTES, "the trailer has no gap")
assert(CHUNK_BYTES_MAX + PACK_BYTES_MAX <= U32_MAX, "offsets in a pack fit 32 bits")

/** The entries of a pack. */
export interface PackEntries extends ChunkList {
  readonly offsets: Uint32Array
}

/** What the trailer says. */
export interface PackTrailer {
  readonly id: string
  readonly count: number
  /** Where the entries start. */
  readonly entriesOffset: number
  readonly entriesCrc: number
}

/** Size of a pack of `count` chunks of `chunkBytes` together. */
export function packBytes(count: number, chunkBytes: number): number {
  return chunkBytes + count * PACK_ENTRY_BYTES + PACK_TRAILER_BYTES
}

/** The entries and the trailer of the pack `id` whose chunks are `chunks`: what follows them in the object. */
export function encodePackTail(id: string, chunks: ChunkList): Uint8Array {
  assert(chunks.count > 0, "a pack holds at least one chunk")
  const entriesBytes = chunks.count * PACK_ENTRY_BYTES
  const tail = new Uint8Array(entriesBytes + PACK_TRAILER_BYTES)
  const view = new DataView(tail.buffer)
  let offset = 0
  for (let i = 0; i < chunks.count; i++) {
    const at = i * PACK_ENTRY_BYTES
    for (let byte = 0; byte < HASH_BYTES; byte++) tail[at + byte] = chunks.hashes[i * HASH_BYTES + byte]!
    view.setUint32(at + ENTRY.offset, offset, true)
    view.setUint32(at + ENTRY.length, chunks.lengths[i]!, true)
    view.setUint32(at + ENTRY.crc, chunks.crcs[i]!, true)
    tail[at + ENTRY.kind] = chunks.kinds[i]!
    offset += chunks.lengths[i]!
  }
  assert(offset <= U32_MAX, "a pack's chunks fit 32 bits")
  tail.set(idBytes(id), entriesBytes + TRAILER.id)
  view.setUint32(entriesBytes + TRAILER.count, chunks.count, true)
  view.setUint32(entriesBytes + TRAILER.bytes, offset, true)
  view.setUint32(entriesBytes + TRAILER.entriesCrc, crc32(tail.subarray(0, entriesBytes)), true)
  view.setUint16(entriesBytes + TRAILER.format, PACK_FORMAT, true)
  view.setUint32(
    entriesBytes + TRAILER.crc,
    crc32(tail.subarray(entriesBytes, entriesBytes + TRAILER.crc)),
    true,
  )
  view.setUint32(entriesBytes + TRAILER.magic, MAGIC, true)
  return tail
}

/**
 * Reads the trailer from the last bytes of `source`, the end of an object of `objectBytes` under the name `name`.
 * @throws EngineError `DATA_LOSS`, `FORMAT_NEWER`
 */
export function decodePackTrailer(source: Uint8Array, objectBytes: number, name: string): PackTrailer {
  const start = source.length - PACK_TRAILER_BYTES
  if (start < 0 || objectBytes < source.length) throw damaged(name, "it is shorter than a trailer")
  const view = new DataView(source.buffer, source.byteOffset + start, PACK_TRAILER_BYTES)
  if (view.getUint32(TRAILER.magic, true) !== MAGIC) throw damaged(name, "magic of the trailer")
  if (view.getUint32(TRAILER.crc, true) !== crc32(source.subarray(start, start + TRAILER.crc))) {
    throw damaged(name, "checksum of the trailer")
  }
  const format = view.getUint16(TRAILER.format, true)
  if (format > PACK_FORMAT) throw tooNew(name, format, PACK_FORMAT)
  if (format !== PACK_FORMAT) throw damaged(name, "format of the trailer")
  if (view.getUint16(TRAILER.reserved, true) !== 0) throw damaged(name, "reserved bytes of the trailer")
  const count = view.getUint32(TRAILER.count, true)
  const entriesOffset = view.getUint32(TRAILER.bytes, true)
  if (count === 0 || packBytes(count, entriesOffset) !== objectBytes)
    throw damaged(name, "sizes in the trailer")
  return {
    id: hexOf(source, start + TRAILER.id, start + TRAILER.count),
    count,
    entriesOffset,
    entriesCrc: view.getUint32(TRAILER.entriesCrc, true),
  }
}

/**
 * Reads the entries, which fill `source`.
 * @throws EngineError `DATA_LOSS`
 */
export function decodePackEntries(source: Uint8Array, trailer: PackTrailer, name: string): PackEntries {
  const { count } = trailer
  if (source.length !== count * PACK_ENTRY_BYTES) throw damaged(name, "it is shorter than its entries")
  if (crc32(source) !== trailer.entriesCrc) throw damaged(name, "checksum of the entries")
  const view = new DataView(source.buffer, source.byteOffset, source.length)
  const entries = {
    count,
    kinds: new Uint8Array(count),
    lengths: new Uint32Array(count),
    crcs: new Uint32Array(count),
    hashes: new Uint8Array(count * HASH_BYTES),
    offsets: new Uint32Array(count),
  }
  let offset = 0
  for (let i = 0; i < count; i++) {
    const at = i * PACK_ENTRY_BYTES
    for (let byte = 0; byte < HASH_BYTES; byte++) entries.hashes[i * HASH_BYTES + byte] = source[at + byte]!
    const length = view.getUint32(at + ENTRY.length, true)
    const kind = source[at + ENTRY.kind]!
    if (view.getUint32(at + ENTRY.offset, true) !== offset) throw damaged(name, `offset of entry ${i}`)
    if (length === 0 || length > CHUNK_BYTES_MAX) throw damaged(name, `length of entry ${i}`)
    if (!isRegionKind(kind)) throw damaged(name, `kind of entry ${i}`)
    if (view.getUint32(at + ENTRY.kind, true) >>> 8 !== 0) throw damaged(name, `reserved bytes of entry ${i}`)
    entries.offsets[i] = offset
    entries.lengths[i] = length
    entries.crcs[i] = view.getUint32(at + ENTRY.crc, true)
    entries.kinds[i] = kind
    offset += length
  }
  if (offset !== trailer.entriesOffset) throw damaged(name, "bytes of the chunks")
  return entries
}
