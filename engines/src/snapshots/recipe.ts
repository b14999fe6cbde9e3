// A recipe: the chunks of one run in order, and where each of them lies. Stored in a pack as a chunk of its own.
//
//   recipe := header | pack* | entry* | crc32                all integers little-endian
//
//   header     offset  size  field
//                   0     4  magic       "VRCP"
//                   4     2  format      RECIPE_FORMAT of the writer
//                   6     2  reserved    zero
//                   8    16  run id
//                  24     8  run bytes   sum of the lengths
//                  32     4  pack count  at least 1
//                  36     4  entry count at least 1
//
//   pack := id, 16 bytes; each is named by at least one entry
//
//   entry      offset  size  field
//                   0    32  hash        SHA-256 of the chunk
//                  32     4  offset      of the chunk in its pack
//                  36     4  length      1 to CHUNK_BYTES_MAX
//                  40     4  pack        index into the packs
//                  44     1  kind        records or index
//                  45     3  reserved    zero
//
// crc32 is of all bytes before it. Its place, and those of magic and format, are the same in every format.

import { crc32 } from "node:zlib"
import { assert } from "../base/assert.ts"
import { CHUNK_BYTES_MAX, type ChunkList, HASH_BYTES } from "./chunk-list.ts"
import { regionKinds } from "./region-kind.ts"
import { damaged, getUint53, hexOf, idBytes, setUint53, tooNew } from "./stored-bytes.ts"

const RECIPE_FORMAT = 1
const HEADER_BYTES = 40
const PACK_ID_BYTES = 16
const ENTRY_BYTES = 48
const CHECKSUM_BYTES = 4
const HEADER = { magic: 0, format: 4, reserved: 6, run: 8, runBytes: 24, packs: 32, entries: 36 } as const
const ENTRY = { hash: 0, offset: 32, length: 36, pack: 40, kind: 44, reserved: 45 } as const
const MAGIC = 0x50435256 // "VRCP" read as u32 little-endian

assert(HEADER.entries + 4 === HEADER_BYTES, "the header has no gap")
assert(ENTRY.hash + HASH_BYTES === ENTRY.offset && ENTRY.reserved + 3 === ENTRY_BYTES, "entries have no gap")

/** Plain data; survives structured cloning. */
export interface Recipe {
  /** Identity of the run, 32 hex digits. */
  readonly run: string
  readonly runBytes: number
  /** Identities of the packs, each once. */
  readonly packs: readonly string[]
  readonly chunks: RecipeChunks
}

/** The chunks in file order, as columns. */
export interface RecipeChunks extends Omit<ChunkList, "crcs"> {
  /** Index into `packs`. */
  readonly packs: Uint32Array
  /** Offset in the pack. */
  readonly offsets: Uint32Array
}

/** Bytes of a recipe. */
export function recipeBytes(packCount: number, chunkCount: number): number {
  return HEADER_BYTES + packCount * PACK_ID_BYTES + chunkCount * ENTRY_BYTES + CHECKSUM_BYTES
}

/** A new buffer with the recipe, which must be whole: packs all used, lengths adding up. */
export function encodeRecipe(recipe: Recipe): Uint8Array {
  const { packs, chunks } = recipe
  assert(chunks.count > 0 && packs.length > 0, "a recipe is never empty")
  const target = new Uint8Array(recipeBytes(packs.length, chunks.count))
  const view = new DataView(target.buffer)
  view.setUint32(HEADER.magic, MAGIC, true)
  view.setUint16(HEADER.format, RECIPE_FORMAT, true)
  target.set(idBytes(recipe.run), HEADER.run)
  setUint53(view, HEADER.runBytes, recipe.runBytes)
  view.setUint32(HEADER.packs, packs.length, true)
  view.setUint32(HEADER.entries, chunks.count, true)
  packs.forEach((id, i) => {
    target.set(idBytes(id), HEADER_BYTES + i * PACK_ID_BYTES)
  })
  const start = HEADER_BYTES + packs.length * PACK_ID_BYTES
  let bytes = 0
  for (let i = 0; i < chunks.count; i++) {
    const at = start + i * ENTRY_BYTES
    for (let byte = 0; byte < HASH_BYTES; byte++) target[at + byte] = chunks.hashes[i * HASH_BYTES + byte]!
    view.setUint32(at + ENTRY.offset, chunks.offsets[i]!, true)
    view.setUint32(at + ENTRY.length, chunks.lengths[i]!, true)
    view.setUint32(at + ENTRY.pack, chunks.packs[i]!, true)
    target[at + ENTRY.kind] = chunks.kinds[i]!
    bytes += chunks.lengths[i]!
  }
  assert(bytes === recipe.runBytes, "the chunks make up the run")
  const checksumOffset = target.length - CHECKSUM_BYTES
  view.setUint32(checksumOffset, crc32(target.subarray(0, checksumOffset)), true)
  return target
}

/**
 * Reads the recipe that fills `source`; `name` says where it lies.
 * @throws EngineError `DATA_LOSS`, `FORMAT_NEWER`
 */
export function decodeRecipe(source: Uint8Array, name: string): Recipe {
  if (source.length < HEADER_BYTES + CHECKSUM_BYTES)
    throw damaged(name, "it is shorter than a recipe's header")
  const view = new DataView(source.buffer, source.byteOffset, source.length)
  const checksumOffset = source.length - CHECKSUM_BYTES
  if (view.getUint32(HEADER.magic, true) !== MAGIC) throw damaged(name, "magic of the recipe")
  if (view.getUint32(checksumOffset, true) !== crc32(source.subarray(0, checksumOffset))) {
    throw damaged(name, "checksum of the recipe")
  }
  const format = view.getUint16(HEADER.format, true)
  if (format > RECIPE_FORMAT) throw tooNew(name, format, RECIPE_FORMAT)
  if (format !== RECIPE_FORMAT) throw damaged(name, "format of the recipe")
  if (view.getUint16(HEADER.reserved, true) !== 0) throw damaged(name, "reserved bytes of the recipe")
  const packCount = view.getUint32(HEADER.packs, true)
  const count = view.getUint32(HEADER.entries, true)
  if (packCount === 0 || count === 0 || recipeBytes(packCount, count) !== source.length) {
    throw damaged(name, "counts of the recipe")
  }
  const entriesOffset = HEADER_BYTES + packCount * PACK_ID_BYTES
  const packs: string[] = []
  for (let at = HEADER_BYTES; at < entriesOffset; at += PACK_ID_BYTES) {
    packs.push(hexOf(source, at, at + PACK_ID_BYTES))
  }
  const chunks = decodeEntries(source, entriesOffset, { count, packCount, name })
  const runBytes = getUint53(view, HEADER.runBytes)
  let bytes = 0
  for (let i = 0; i < count; i++) bytes += chunks.lengths[i]!
  if (bytes !== runBytes) throw damaged(name, "bytes of the run")
  if (new Set(packs).size !== packCount) throw damaged(name, "a pack is named twice")
  if (new Set(chunks.packs).size !== packCount) throw damaged(name, "a pack without chunks")
  return { run: hexOf(source, HEADER.run, HEADER.runBytes), runBytes, packs, chunks }
}

function decodeEntries(
  source: Uint8Array,
  entriesOffset: number,
  { count, packCount, name }: { count: number; packCount: number; name: string },
): RecipeChunks {
  const view = new DataView(source.buffer, source.byteOffset, source.length)
  const chunks = {
    count,
    kinds: new Uint8Array(count),
    lengths: new Uint32Array(count),
    hashes: new Uint8Array(count * HASH_BYTES),
    packs: new Uint32Array(count),
    offsets: new Uint32Array(count),
  }
  for (let i = 0; i < count; i++) {
    const at = entriesOffset + i * ENTRY_BYTES
    for (let byte = 0; byte < HASH_BYTES; byte++) chunks.hashes[i * HASH_BYTES + byte] = source[at + byte]!
    const length = view.getUint32(at + ENTRY.length, true)
    const pack = view.getUint32(at + ENTRY.pack, true)
    const kind = source[at + ENTRY.kind]!
    if (length === 0 || length > CHUNK_BYTES_MAX) throw damaged(name, `length of entry ${i} of the recipe`)
    if (pack >= packCount) throw damaged(name, `pack of entry ${i} of the recipe`)
    if (kind !== regionKinds.records && kind !== regionKinds.index) {
      throw damaged(name, `kind of entry ${i} of the recipe`)
    }
    if (view.getUint32(at + ENTRY.kind, true) >>> 8 !== 0) {
      throw damaged(name, `reserved bytes of entry ${i} of the recipe`)
    }
    chunks.offsets[i] = view.getUint32(at + ENTRY.offset, true)
    chunks.lengths[i] = length
    chunks.packs[i] = pack
    chunks.kinds[i] = kind
  }
  return chunks
}
