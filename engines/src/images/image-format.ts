// An image: the regions of a function's memory, and where their bytes lie. One object; written last, it makes the image.
//
//   image := header | region* | pack* | entry* | SHA-256 of all before        all integers little-endian
//
//   header     offset  size  field
//                   0     4  magic          "VIMG"
//                   4     2  format         IMAGE_FORMAT of the writer
//                   6     2  reserved       zero
//                   8    16  id             as in the key
//                  24     8  created        milliseconds since 1970
//                  32     8  bytes          of all regions
//                  40     8  chunk bytes    sum of the lengths of the entries
//                  48     4  region count   1 to REGION_COUNT_MAX
//                  52     4  pack count
//                  56     4  entry count
//                  60     1  name length    1 to 63
//                  61    63  name           as in the key, then zeros
//                 124     4  crc32          of bytes [0, 124)
//
//   region     offset  size  field
//                   0     8  address        any
//                   8     8  bytes          at least 1
//                  16     4  entry count    of this region: its entries follow those of the region before
//                  20     1  kind           4 code, 5 memory, 6 other (snapshots/region-kind.ts)
//                  21     1  stored as      kind of its chunks: `kind`, or 6 where kinds are not kept apart
//                  22     2  reserved       zero
//
//   pack := id, 16 bytes; each is named by at least one entry
//
//   entry      offset  size  field
//                   0    32  hash           SHA-256 of the chunk
//                  32     4  zero pages     of 4096 bytes, between the chunk before (or the region's start) and this one
//                  36     4  offset         of the chunk in its pack
//                  40     4  length         1 to CHUNK_BYTES_MAX
//                  44     4  pack           index into the packs
//
// What is behind the last chunk of a region is zeros. Lists read the header alone, hence its own checksum.

import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { assert } from "../base/assert.ts"
import { CHUNK_BYTES_MAX, HASH_BYTES } from "../snapshots/chunk-list.ts"
import type { RecipeChunks } from "../snapshots/recipe.ts"
import { packFolderOf, regionKinds } from "../snapshots/region-kind.ts"
import { type ImageName, imageKey } from "../snapshots/repository-keys.ts"
import { damaged, getUint53, hexOf, idBytes, setUint53, tooNew } from "../snapshots/stored-bytes.ts"

const IMAGE_FORMAT = 1
/** Zero bytes count in pages of this size, from the start of their region. */
export const PAGE_BYTES = 4096
/** As many mappings as Linux gives a process unless it is told otherwise, and some. */
export const REGION_COUNT_MAX = 65_536
/** Of an object: 699,000 chunks, 12 GiB at 18 KiB each. It is held in memory whole. */
export const IMAGE_BYTES_MAX = 32 * 1024 * 1024

export const IMAGE_HEADER_BYTES = 128
const REGION_BYTES = 24
const PACK_ID_BYTES = 16
const ENTRY_BYTES = 48
const NAME_BYTES_MAX = 63
const MAGIC = 0x474d4956 // "VIMG" read as u32 little-endian

const HEADER = {
  magic: 0,
  format: 4,
  reserved: 6,
  id: 8,
  created: 24,
  bytes: 32,
  chunkBytes: 40,
  regions: 48,
  packs: 52,
  entries: 56,
  nameLength: 60,
  name: 61,
  crc: 124,
} as const
const REGION = { address: 0, bytes: 8, entries: 16, kind: 20, storedAs: 21, reserved: 22 } as const
const ENTRY = { hash: 0, zeroPages: 32, offset: 36, length: 40, pack: 44 } as const

assert(
  HEADER.name + NAME_BYTES_MAX === HEADER.crc && HEADER.crc + 4 === IMAGE_HEADER_BYTES,
  "the header has no gap",
)
assert(
  REGION.reserved + 2 === REGION_BYTES && ENTRY.pack + 4 === ENTRY_BYTES,
  "regions and entries have no gap",
)

/** What a region holds. Chunks of one kind are looked for among those of the same kind. */
export const imageKinds = ["code", "memory", "other"] as const

/** What a region holds. */
export type ImageKind = (typeof imageKinds)[number]

/** What a header says. */
export interface ImageSummary extends ImageName {
  /** In milliseconds since 1970. */
  readonly createdMs: number
  /** Of all regions, zeros included. */
  readonly bytes: number
  /** Of its chunks: zero pages are none. Other images may have the same ones. */
  readonly chunkBytes: number
  /** How many regions it has. */
  readonly regionCount: number
}

/** A region of an image. */
export interface MappedRegion {
  /** What it holds. */
  readonly kind: ImageKind
  /** Kind of its chunks, of `regionKinds`. */
  readonly storedAs: number
  /** 0 to 2^64 - 1. */
  readonly address: bigint
  /** Its length, zeros included. */
  readonly bytes: number
  /** Its chunks are `[firstChunk, firstChunk + chunkCount)` of the image. */
  readonly firstChunk: number
  /** How many of the image's chunks are its own. */
  readonly chunkCount: number
}

/** The chunks of an image in order, as columns. */
export interface ImageChunks extends RecipeChunks {
  /** Pages of zeros before each chunk. */
  readonly zeroPages: Uint32Array
}

/** An image: its regions in order, and where their bytes lie. */
export interface ImageMap extends Omit<ImageSummary, "regionCount"> {
  /** In their order. */
  readonly regions: readonly MappedRegion[]
  /** Ids of the packs that hold its chunks. */
  readonly packs: readonly string[]
  /** Of all regions, in their order. @internal */
  readonly chunks: ImageChunks
}

/** Bytes of an image's object. */
export function imageBytes(regionCount: number, packCount: number, chunkCount: number): number {
  const fixed = IMAGE_HEADER_BYTES + HASH_BYTES
  return fixed + regionCount * REGION_BYTES + packCount * PACK_ID_BYTES + chunkCount * ENTRY_BYTES
}

/** A new buffer with the image, which must be whole and within IMAGE_BYTES_MAX. */
export function encodeImage(image: ImageMap): Uint8Array {
  const { regions, packs, chunks } = image
  const target = new Uint8Array(imageBytes(regions.length, packs.length, chunks.count))
  assert(target.length <= IMAGE_BYTES_MAX && regions.length > 0, "an image is in bounds")
  const view = new DataView(target.buffer)
  encodeHeader(target, view, image)
  let at = IMAGE_HEADER_BYTES
  for (const region of regions) {
    view.setBigUint64(at + REGION.address, region.address, true)
    setUint53(view, at + REGION.bytes, region.bytes)
    view.setUint32(at + REGION.entries, region.chunkCount, true)
    target[at + REGION.kind] = regionKinds[region.kind]
    target[at + REGION.storedAs] = region.storedAs
    at += REGION_BYTES
  }
  for (const id of packs) {
    target.set(idBytes(id), at)
    at += PACK_ID_BYTES
  }
  for (let i = 0; i < chunks.count; i++) {
    for (let byte = 0; byte < HASH_BYTES; byte++) target[at + byte] = chunks.hashes[i * HASH_BYTES + byte]!
    view.setUint32(at + ENTRY.zeroPages, chunks.zeroPages[i]!, true)
    view.setUint32(at + ENTRY.offset, chunks.offsets[i]!, true)
    view.setUint32(at + ENTRY.length, chunks.lengths[i]!, true)
    view.setUint32(at + ENTRY.pack, chunks.packs[i]!, true)
    at += ENTRY_BYTES
  }
  target.set(createHash("sha256").update(target.subarray(0, at)).digest(), at)
  return target
}

function encodeHeader(target: Uint8Array, view: DataView, image: ImageMap): void {
  view.setUint32(HEADER.magic, MAGIC, true)
  view.setUint16(HEADER.format, IMAGE_FORMAT, true)
  target.set(idBytes(image.id), HEADER.id)
  setUint53(view, HEADER.created, image.createdMs)
  setUint53(view, HEADER.bytes, image.bytes)
  setUint53(view, HEADER.chunkBytes, image.chunkBytes)
  view.setUint32(HEADER.regions, image.regions.length, true)
  view.setUint32(HEADER.packs, image.packs.length, true)
  view.setUint32(HEADER.entries, image.chunks.count, true)
  const name = Buffer.from(image.name, "latin1")
  assert(name.length >= 1 && name.length <= NAME_BYTES_MAX, "the name was checked")
  target[HEADER.nameLength] = name.length
  target.set(name, HEADER.name)
  view.setUint32(HEADER.crc, crc32(target.subarray(0, HEADER.crc)), true)
}

interface Header extends ImageSummary {
  readonly packCount: number
  readonly entryCount: number
}

/**
 * Reads the header at the start of `source`, of the object `key`.
 * @throws EngineError `DATA_LOSS`, `FORMAT_NEWER`
 */
export function decodeImageHeader(source: Uint8Array, key: string): ImageSummary {
  const { packCount: _, entryCount: __, ...summary } = decodeHeader(source, key)
  return summary
}

function decodeHeader(source: Uint8Array, key: string): Header {
  if (source.length < IMAGE_HEADER_BYTES) throw damaged(key, "it is shorter than a header")
  const view = new DataView(source.buffer, source.byteOffset, source.length)
  if (view.getUint32(HEADER.magic, true) !== MAGIC) throw damaged(key, "magic of the image")
  if (view.getUint32(HEADER.crc, true) !== crc32(source.subarray(0, HEADER.crc))) {
    throw damaged(key, "checksum of the header")
  }
  const format = view.getUint16(HEADER.format, true)
  if (format > IMAGE_FORMAT) throw tooNew(key, format, IMAGE_FORMAT)
  const nameEnd = HEADER.name + source[HEADER.nameLength]!
  const isSpare = nameEnd <= HEADER.crc && source.subarray(nameEnd, HEADER.crc).every((byte) => byte === 0)
  if (format !== IMAGE_FORMAT || view.getUint16(HEADER.reserved, true) !== 0 || !isSpare) {
    throw damaged(key, "reserved bytes of the header")
  }
  const name = Buffer.from(source.subarray(HEADER.name, nameEnd)).toString("latin1")
  const id = hexOf(source, HEADER.id, HEADER.created)
  if (key !== keyOf({ name, id })) throw damaged(key, "it is another image")
  const regionCount = view.getUint32(HEADER.regions, true)
  const [packCount, entryCount] = [view.getUint32(HEADER.packs, true), view.getUint32(HEADER.entries, true)]
  const isBounded =
    regionCount > 0 &&
    regionCount <= REGION_COUNT_MAX &&
    imageBytes(regionCount, packCount, entryCount) <= IMAGE_BYTES_MAX
  const createdMs = getUint53(view, HEADER.created)
  const [bytes, chunkBytes] = [getUint53(view, HEADER.bytes), getUint53(view, HEADER.chunkBytes)]
  if (!isBounded || ![createdMs, bytes, chunkBytes].every(Number.isSafeInteger) || chunkBytes > bytes) {
    throw damaged(key, "sizes in the header")
  }
  return { name, id, createdMs, bytes, chunkBytes, regionCount, packCount, entryCount }
}

/** Undefined for what no image can have. */
function keyOf(name: ImageName): string | undefined {
  try {
    return imageKey(name)
  } catch {
    return undefined
  }
}

/**
 * Reads the image that fills `source`, the object `key`.
 * @throws EngineError `DATA_LOSS`, `FORMAT_NEWER`
 */
export function decodeImage(source: Uint8Array, key: string): ImageMap {
  const { regionCount, packCount, entryCount, ...summary } = decodeHeader(source, key)
  if (imageBytes(regionCount, packCount, entryCount) !== source.length) throw damaged(key, "its length")
  const end = source.length - HASH_BYTES
  const hash = createHash("sha256").update(source.subarray(0, end)).digest()
  if (Buffer.compare(hash, source.subarray(end)) !== 0) throw damaged(key, "its hash does not match")
  const packsAt = IMAGE_HEADER_BYTES + regionCount * REGION_BYTES
  const entriesAt = packsAt + packCount * PACK_ID_BYTES
  const packs: string[] = []
  for (let at = packsAt; at < entriesAt; at += PACK_ID_BYTES)
    packs.push(hexOf(source, at, at + PACK_ID_BYTES))
  const regions = decodeRegions(source.subarray(IMAGE_HEADER_BYTES, packsAt), key)
  const chunks = decodeEntries(source.subarray(entriesAt, end), entryCount, packCount, key)
  checkRegions({ ...summary, regions, packs, chunks }, key)
  return { ...summary, regions, packs, chunks }
}

function decodeRegions(source: Uint8Array, key: string): MappedRegion[] {
  const view = new DataView(source.buffer, source.byteOffset, source.length)
  const regions: MappedRegion[] = []
  let firstChunk = 0
  for (let at = 0; at < source.length; at += REGION_BYTES) {
    const name = `region ${regions.length}`
    const kind = imageKinds.find((each) => regionKinds[each] === source[at + REGION.kind])
    const storedAs = source[at + REGION.storedAs]!
    if (kind === undefined || (storedAs !== regionKinds[kind] && storedAs !== regionKinds.other)) {
      throw damaged(key, `kind of ${name}`)
    }
    if (view.getUint16(at + REGION.reserved, true) !== 0) throw damaged(key, `reserved bytes of ${name}`)
    const bytes = getUint53(view, at + REGION.bytes)
    if (bytes === 0 || !Number.isSafeInteger(bytes)) throw damaged(key, `bytes of ${name}`)
    const chunkCount = view.getUint32(at + REGION.entries, true)
    const address = view.getBigUint64(at + REGION.address, true)
    regions.push({ kind, storedAs, address, bytes, firstChunk, chunkCount })
    firstChunk += chunkCount
  }
  return regions
}

/** Kinds stay zero: regions say them. */
function decodeEntries(source: Uint8Array, count: number, packCount: number, key: string): ImageChunks {
  const view = new DataView(source.buffer, source.byteOffset, source.length)
  const chunks = {
    count,
    kinds: new Uint8Array(count),
    hashes: new Uint8Array(count * HASH_BYTES),
    zeroPages: new Uint32Array(count),
    offsets: new Uint32Array(count),
    lengths: new Uint32Array(count),
    packs: new Uint32Array(count),
  }
  for (let i = 0; i < count; i++) {
    const at = i * ENTRY_BYTES
    for (let byte = 0; byte < HASH_BYTES; byte++) chunks.hashes[i * HASH_BYTES + byte] = source[at + byte]!
    const length = view.getUint32(at + ENTRY.length, true)
    const pack = view.getUint32(at + ENTRY.pack, true)
    if (length === 0 || length > CHUNK_BYTES_MAX) throw damaged(key, `length of entry ${i}`)
    if (pack >= packCount) throw damaged(key, `pack of entry ${i}`)
    chunks.zeroPages[i] = view.getUint32(at + ENTRY.zeroPages, true)
    chunks.offsets[i] = view.getUint32(at + ENTRY.offset, true)
    chunks.lengths[i] = length
    chunks.packs[i] = pack
  }
  return chunks
}

/** The entries make up the regions, which make up the image; fills in the kinds of the chunks. */
function checkRegions(image: ImageMap, key: string): void {
  const { regions, packs, chunks } = image
  let [bytes, chunkBytes, next] = [0, 0, 0]
  const folders = new Map<number, string>()
  for (const [number, region] of regions.entries()) {
    let held = 0
    const end = next + region.chunkCount
    if (end > chunks.count) throw damaged(key, `entries of region ${number}`)
    for (; next < end; next++) {
      chunks.kinds[next] = region.storedAs
      held += chunks.zeroPages[next]! * PAGE_BYTES + chunks.lengths[next]!
      chunkBytes += chunks.lengths[next]!
      const folder = packFolderOf(region.storedAs)
      if ((folders.get(chunks.packs[next]!) ?? folder) !== folder)
        throw damaged(key, `kinds of pack of entry ${next}`)
      folders.set(chunks.packs[next]!, folder)
    }
    if (held > region.bytes) throw damaged(key, `chunks of region ${number}`)
    bytes += region.bytes
  }
  if (next !== chunks.count) throw damaged(key, "entries of no region")
  if (bytes !== image.bytes || chunkBytes !== image.chunkBytes) throw damaged(key, "bytes of the regions")
  if (new Set(packs).size !== packs.length || folders.size !== packs.length) {
    throw damaged(key, "packs that are named twice, or not needed")
  }
}
