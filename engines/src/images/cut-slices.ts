// A job for another thread: cuts slices of regions into chunks, and leaves zero pages out.
//
//   slice   | page | page | 0 | 0 | page | page | page | 0 |       pages of 4096 bytes
//   chunks  |   a     | b |       |    c    |     d    |           FastCDC within each stretch between zero pages
//
// What repeats are long stretches: smaller chunks cost more in entries than they find, and chunks of a fixed length find
// less. Cutting at page ends gains a little for code and loses more for memory; so all are cut with the repository's own
// parameters. `npm run bench -- images` prints what images of real processes come to.

import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { EngineError } from "../base/error.ts"
import { defineJob } from "../io/executor.ts"
import type { File, FileSystem } from "../io/file-system.ts"
import { type ChunkList, ChunkListBuilder } from "../snapshots/chunk-list.ts"
import { Chunker, type ChunkingParameters } from "../snapshots/chunker.ts"
import { PAGE_BYTES } from "./image-format.ts"
import type { FileRange } from "./region-source.ts"

const ZERO_PAGE = Buffer.alloc(PAGE_BYTES)

/** Its bytes, or where in a file they are. */
export interface SliceToCut {
  readonly source: Uint8Array | FileRange
  /** Kind of its chunks. */
  readonly storedAs: number
}

export interface CutSlicesInput {
  readonly slices: readonly SliceToCut[]
  readonly parameters: ChunkingParameters
}

/** The chunks of a slice in order. */
export interface CutSlice {
  readonly chunks: ChunkList
  /** Pages of zeros before each chunk, and behind the last one: whole pages only. */
  readonly zeroPages: Uint32Array
  readonly zeroPagesBehind: number
}

/**
 * Resolves the chunks of each slice.
 * @throws (rejects) EngineError `DATA_LOSS` when a file is missing or too short; `STORAGE_FAILED`
 */
export const cutSlices = defineJob(
  import.meta.url,
  "cutSlices",
  async (context, { slices, parameters }: CutSlicesInput): Promise<CutSlice[]> => {
    const reader = new RangeReader(context.fileSystem)
    try {
      const cut: CutSlice[] = []
      for (const { source, storedAs } of slices) {
        const bytes = "path" in source ? await reader.read(source) : source
        cut.push(cutSlice(bytes, storedAs, parameters))
      }
      return cut
    } finally {
      await reader.close()
    }
  },
)

/** Reads ranges of files one after the other; a file that comes up again stays open. */
export class RangeReader {
  readonly #fileSystem: FileSystem
  #path = ""
  #file: File | undefined

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem
  }

  /** @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED` */
  async read({ path, offset, length }: FileRange): Promise<Uint8Array> {
    if (this.#file === undefined || this.#path !== path) {
      await this.close()
      this.#file = await this.#fileSystem.open(path, "read")
      this.#path = path
    }
    if (this.#file === undefined) throw new EngineError("DATA_LOSS", `${path} is missing`)
    const bytes = new Uint8Array(length)
    if ((await this.#file.read(bytes, offset)) === length) return bytes
    throw new EngineError("DATA_LOSS", `${path} ends before byte ${offset + length}`)
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}

/** Cuts one slice. */
export function cutSlice(bytes: Uint8Array, storedAs: number, parameters: ChunkingParameters): CutSlice {
  const list = new ChunkListBuilder()
  const zeroPages: number[] = []
  let zeros = 0
  for (let at = 0; at < bytes.length; ) {
    if (isZeroPage(bytes, at)) {
      if (bytes.length - at >= PAGE_BYTES) zeros++
      at += PAGE_BYTES
      continue
    }
    let end = at + PAGE_BYTES
    while (end < bytes.length && !isZeroPage(bytes, end)) end += PAGE_BYTES
    const stretch = bytes.subarray(at, end)
    for (const chunk of chunksOf(stretch, parameters)) {
      list.add(storedAs, chunk.length, crc32(chunk), createHash("sha256").update(chunk).digest())
      zeroPages.push(zeros)
      zeros = 0
    }
    at = end
  }
  return { chunks: list.build(), zeroPages: Uint32Array.from(zeroPages), zeroPagesBehind: zeros }
}

function* chunksOf(stretch: Uint8Array, parameters: ChunkingParameters): Generator<Uint8Array> {
  const chunker = new Chunker(parameters, { recordsBytes: 0, fileBytes: stretch.length })
  while (chunker.position < stretch.length) {
    const start = chunker.position
    chunker.advance(stretch, 0)
    yield stretch.subarray(start, chunker.position)
    chunker.startChunk()
  }
}

/** Also of the last page, which may be short. */
function isZeroPage(bytes: Uint8Array, at: number): boolean {
  const page = bytes.subarray(at, at + PAGE_BYTES)
  return (
    Buffer.compare(page, page.length === PAGE_BYTES ? ZERO_PAGE : ZERO_PAGE.subarray(0, page.length)) === 0
  )
}
