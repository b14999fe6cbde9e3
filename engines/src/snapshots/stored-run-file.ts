// A stored run as a file that can be read: nothing of it has to be on this disk. `RunFile.over` reads a run from it
// as from any other file.

import type { ReadableFile } from "../io/file-system.ts"
import type { ChunkReader } from "./chunk-reader.ts"
import type { RunChunks } from "./run-chunks.ts"

/** Chunks of one read that are held at a time: longer reads go on when these are copied. */
const READ_BYTES = 1024 * 1024

/** Reads reject with EngineError `DATA_LOSS`, `REPOSITORY_FAILED`. */
export class StoredRunFile implements ReadableFile {
  readonly #reader: ChunkReader
  readonly #chunks: RunChunks

  /** @param chunks all of a run */
  constructor(reader: ChunkReader, chunks: RunChunks) {
    this.#reader = reader
    this.#chunks = chunks
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    const end = Math.min(offset + target.length, this.#chunks.end)
    for (let at = offset; at < end; ) {
      const first = this.#chunks.at(at)
      const last = this.#chunks.at(Math.min(at + READ_BYTES, end) - 1)
      const wanted = Array.from({ length: last + 1 - first }, (_, i) => first + i)
      const read = await Promise.all(this.#reader.read(this.#chunks, wanted))
      for (const [i, bytes] of read.entries()) copyChunk(bytes, this.#chunks.start(first + i), target, offset)
      at = this.#chunks.start(last + 1)
    }
    return Math.max(0, end - offset)
  }

  async size(): Promise<number> {
    return this.#chunks.end
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

/** Copies what `target`, the bytes of a run from `offset` on, has room for of a chunk that begins at `start`. */
export function copyChunk(bytes: Uint8Array, start: number, target: Uint8Array, offset: number): void {
  const from = Math.max(0, offset - start)
  const to = Math.min(bytes.length, offset + target.length - start)
  if (to > from) target.set(bytes.subarray(from, to), start + from - offset)
}
