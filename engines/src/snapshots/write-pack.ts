// A job for another thread: writes one pack, durable when it resolves. The pack is held in memory until then:
// PACK_BYTES_MAX, or the one chunk that is larger.

import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import { defineJob } from "../io/executor.ts"
import type { File, FileSystem } from "../io/file-system.ts"
import { type ChunkList, ChunkListBuilder, chunkHash } from "./chunk-list.ts"
import { encodePackTail } from "./pack.ts"
import { encodeRecipe, type Recipe } from "./recipe.ts"
import { regionKinds } from "./region-kind.ts"
import { packKey } from "./repository-keys.ts"
import { damaged } from "./stored-bytes.ts"

/** Neighbouring chunks of a file are read together up to this size. */
const READ_BYTES = 4 * 1024 * 1024

/** What a pack is made of: chunks of files, then recipes, which may name this pack itself. */
export interface PackToWrite {
  /** URL of the object store. */
  readonly url: string
  readonly id: string
  readonly paths: readonly string[]
  readonly chunks: ChunkList
  /** For each chunk the index of its file in `paths`, and its offset in that file. */
  readonly sources: Uint32Array
  readonly sourceOffsets: Float64Array
  readonly recipes: readonly Recipe[]
}

export interface WrittenPack {
  /** Size of the object. */
  readonly bytes: number
  /** Where the recipes lie, in their order. */
  readonly recipes: readonly { readonly offset: number; readonly bytes: number; readonly hash: string }[]
}

/**
 * Writes a pack. The chunks must still be what they were when they were cut: their checksums are compared.
 * @throws (rejects) EngineError `DATA_LOSS` when a file is missing or has changed; `STORAGE_FAILED`,
 * `REPOSITORY_FAILED`, `STORAGE_FULL`; no pack then exists, or one that nobody refers to
 */
export const writePack = defineJob(
  import.meta.url,
  "writePack",
  async (context, pack: PackToWrite): Promise<WrittenPack> => {
    const objectStore = await context.objectStore(pack.url)
    const parts = await readChunks(context.fileSystem, pack)
    const list = new ChunkListBuilder()
    const { chunks } = pack
    let offset = 0
    for (let i = 0; i < chunks.count; i++) {
      list.add(chunks.kinds[i]!, chunks.lengths[i]!, chunks.crcs[i]!, chunkHash(chunks, i))
      offset += chunks.lengths[i]!
    }
    const recipes = []
    for (const recipe of pack.recipes) {
      const part = encodeRecipe(recipe)
      const hash = createHash("sha256").update(part).digest()
      list.add(regionKinds.recipe, part.length, crc32(part), hash)
      recipes.push({ offset, bytes: part.length, hash: hash.toString("hex") })
      parts.push(part)
      offset += part.length
    }
    const tail = encodePackTail(pack.id, list.build())
    parts.push(tail)
    const key = packKey(pack.id)
    if (!(await objectStore.create(key, parts))) {
      throw new EngineError("REPOSITORY_FAILED", `${key} exists already: two packs were given one identity`)
    }
    return { bytes: offset + tail.length, recipes }
  },
)

/** The bytes of all chunks, in order. */
async function readChunks(fileSystem: FileSystem, pack: PackToWrite): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = []
  const { count } = pack.chunks
  let source = -1
  let file: File | undefined
  try {
    for (let first = 0; first < count; ) {
      if (file === undefined || pack.sources[first] !== source) {
        await file?.close()
        file = undefined
        source = pack.sources[first]!
        const path = pack.paths[source]!
        file = await fileSystem.open(path, "read")
        if (file === undefined) throw new EngineError("DATA_LOSS", `${path} is missing`)
      }
      const last = lastNeighbour(pack, first)
      parts.push(await readNeighbours(file, pack, { first, last }))
      first = last + 1
    }
  } finally {
    await file?.close()
  }
  return parts
}

/** The last of the chunks that lie one behind the other from `first` on, in the same file. */
function lastNeighbour({ chunks, sources, sourceOffsets }: PackToWrite, first: number): number {
  let last = first
  let bytes = chunks.lengths[first]!
  for (let next = first + 1; next < chunks.count; next++) {
    bytes += chunks.lengths[next]!
    if (sources[next] !== sources[first] || bytes > READ_BYTES) break
    if (sourceOffsets[next] !== sourceOffsets[last]! + chunks.lengths[last]!) break
    last = next
  }
  return last
}

async function readNeighbours(
  file: File,
  pack: PackToWrite,
  { first, last }: { first: number; last: number },
): Promise<Uint8Array> {
  const { chunks, sourceOffsets } = pack
  const start = sourceOffsets[first]!
  const bytes = sourceOffsets[last]! + chunks.lengths[last]! - start
  assert(bytes > 0, "neighbours lie in ascending order")
  const part = new Uint8Array(bytes)
  const path = pack.paths[pack.sources[first]!]!
  if ((await file.read(part, start)) !== bytes) throw damaged(path, "it became shorter")
  for (let i = first, at = 0; i <= last; i++) {
    const end = at + chunks.lengths[i]!
    if (crc32(part.subarray(at, end)) !== chunks.crcs[i]) {
      throw damaged(path, `bytes from ${start + at} on have changed since they were cut`)
    }
    at = end
  }
  return part
}
