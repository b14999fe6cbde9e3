// A job for another thread: writes one pack of an image's chunks, durable when it resolves. The pack is held in memory
// until then: PACK_BYTES_MAX.

import { crc32 } from "node:zlib"
import { EngineError } from "../base/error.ts"
import { defineJob } from "../io/executor.ts"
import type { ChunkList } from "../snapshots/chunk-list.ts"
import { encodePackTail } from "../snapshots/pack.ts"
import type { PackFolder } from "../snapshots/region-kind.ts"
import { packKey } from "../snapshots/repository-keys.ts"
import { damaged } from "../snapshots/stored-bytes.ts"
import { RangeReader } from "./cut-slices.ts"
import type { FileRange } from "./region-source.ts"

/** Neighbouring chunks of one source. */
export interface PackPiece {
  readonly source: Uint8Array | FileRange
  readonly chunkCount: number
}

export interface ImagePackToWrite {
  /** URL of the object store. */
  readonly url: string
  readonly id: string
  readonly folder: PackFolder
  readonly chunks: ChunkList
  /** All chunks, in their order. */
  readonly pieces: readonly PackPiece[]
}

/**
 * Writes a pack. The chunks must still be what they were when they were cut: their checksums are compared.
 * @returns the size of the object
 * @throws (rejects) EngineError `DATA_LOSS` when a file is missing or has changed; `STORAGE_FAILED`,
 * `REPOSITORY_FAILED`, `STORAGE_FULL`; no pack then exists, or one that nobody refers to
 */
export const writeImagePack = defineJob(
  import.meta.url,
  "writeImagePack",
  async (context, { url, id, folder, chunks, pieces }: ImagePackToWrite): Promise<number> => {
    const objectStore = await context.objectStore(url)
    const reader = new RangeReader(context.fileSystem)
    const parts: Uint8Array[] = []
    try {
      let first = 0
      for (const { source, chunkCount } of pieces) {
        const bytes = "path" in source ? await reader.read(source) : source
        checkUnchanged(chunks, { first, count: chunkCount }, bytes, source)
        parts.push(bytes)
        first += chunkCount
      }
    } finally {
      await reader.close()
    }
    const tail = encodePackTail(id, chunks)
    const key = packKey(id, folder)
    if (!(await objectStore.create(key, [...parts, tail]))) {
      throw new EngineError("REPOSITORY_FAILED", `${key} exists already: two packs were given one identity`)
    }
    return parts.reduce((sum, { length }) => sum + length, tail.length)
  },
)

function checkUnchanged(
  { lengths, crcs }: ChunkList,
  { first, count }: { readonly first: number; readonly count: number },
  bytes: Uint8Array,
  source: Uint8Array | FileRange,
): void {
  let at = 0
  for (let i = first; i < first + count; i++) {
    const end = at + lengths[i]!
    if (crc32(bytes.subarray(at, end)) !== crcs[i]) {
      const [name, start] = "path" in source ? [source.path, source.offset] : ["the region", 0]
      throw damaged(name, `bytes from ${start + at} on have changed since they were cut`)
    }
    at = end
  }
}
