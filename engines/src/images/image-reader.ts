// An image, read where it is: its regions in order, piece by piece, each chunk proven against its hash.
//
//   region   | zeros | chunk | chunk | zeros | chunk | zeros |
//   pieces     zeros   bytes   bytes   zeros   bytes   zeros          zeros cost nothing but their piece
//
// Chunks are asked for in windows, the next one while the present one is given out: two windows are in memory.

import type { File, FileSystem } from "../io/file-system.ts"
import { publishFile } from "../io/publish-file.ts"
import type { ChunkReader } from "../snapshots/chunk-reader.ts"
import { RunChunks } from "../snapshots/run-chunks.ts"
import { type ImageMap, type MappedRegion, PAGE_BYTES } from "./image-format.ts"

/** Bytes of chunks asked for at a time. */
const WINDOW_BYTES = 4 * 1024 * 1024
/** Bytes of one write to a file. */
const WRITE_BYTES = 1024 * 1024

/** A part of a region. */
export interface ImagePiece {
  /** Index of the region. */
  readonly region: number
  /** In the region; ascending, without gaps. */
  readonly offset: number
  /** In bytes. */
  readonly length: number
  /** Shared with others: nobody changes them. Undefined: all zeros. */
  readonly bytes: Uint8Array | undefined
}

/** An image that is open for reading. It needs no closing, and must not be deleted and collected meanwhile. */
export class StoredImage {
  /** What is in it; the chunks of a region are its part of `map.chunks`. */
  readonly map: ImageMap
  readonly #reader: ChunkReader
  readonly #chunks: RunChunks

  /** @internal */
  constructor(map: ImageMap, reader: ChunkReader) {
    this.map = map
    this.#reader = reader
    this.#chunks = new RunChunks({ packs: map.packs, chunks: map.chunks, start: 0 })
  }

  /** Its regions, in their order. */
  get regions(): readonly MappedRegion[] {
    return this.map.regions
  }

  /**
   * The pieces of all regions in order, or of one.
   * @throws (rejects) EngineError `DATA_LOSS` naming the pack and the hash, `REPOSITORY_FAILED`; what was given out
   * before is right
   */
  async *pieces(only?: number): AsyncGenerator<ImagePiece, void, undefined> {
    const regions = [...this.regions.entries()].filter(([index]) => only === undefined || index === only)
    const [first, last] = [regions[0]?.[1], regions.at(-1)?.[1]]
    if (first === undefined || last === undefined) return
    const window = new ChunkWindow(this.#reader, this.#chunks, {
      from: first.firstChunk,
      to: last.firstChunk + last.chunkCount,
    })
    const { zeroPages } = this.map.chunks
    for (const [region, { bytes: regionBytes, firstChunk, chunkCount }] of regions) {
      let offset = 0
      for (let i = firstChunk; i < firstChunk + chunkCount; i++) {
        const zeros = zeroPages[i]! * PAGE_BYTES
        if (zeros > 0) yield { region, offset, length: zeros, bytes: undefined }
        offset += zeros
        const bytes = await window.next()
        yield { region, offset, length: bytes.length, bytes }
        offset += bytes.length
      }
      if (offset < regionBytes) yield { region, offset, length: regionBytes - offset, bytes: undefined }
    }
  }

  /**
   * Writes the regions one behind the other, in their order, to `path`, in the place of what is there; zeros are holes.
   * Durable, and byte for byte what was stored, when it resolves; when it fails `path` is as it was, unless only the sync
   * of its directory failed.
   * @throws (rejects) EngineError as `pieces`, and `STORAGE_FULL`, `STORAGE_FAILED`
   * @internal
   */
  async writeTo(fileSystem: FileSystem, path: string): Promise<void> {
    await publishFile(fileSystem, path, (file) => this.#writeAll(file))
  }

  async #writeAll(file: File): Promise<void> {
    let waiting: Uint8Array[] = []
    let [waitingBytes, at] = [0, 0]
    const flush = async (): Promise<void> => {
      if (waitingBytes > 0) await file.write(Buffer.concat(waiting, waitingBytes), at - waitingBytes)
      waiting = []
      waitingBytes = 0
    }
    for await (const { length, bytes } of this.pieces()) {
      if (bytes === undefined || waitingBytes + length > WRITE_BYTES) await flush()
      at += length
      if (bytes === undefined) continue
      waiting.push(bytes)
      waitingBytes += length
    }
    await flush()
    await file.truncate(at)
  }
}

/** Chunks `[from, to)` one after the other. */
class ChunkWindow {
  readonly #reader: ChunkReader
  readonly #chunks: RunChunks
  readonly #to: number
  /** The first that was not asked for. */
  #from: number
  #present: Promise<Uint8Array>[] = []
  #coming: Promise<Uint8Array>[] = []
  #at = 0

  constructor(reader: ChunkReader, chunks: RunChunks, { from, to }: { from: number; to: number }) {
    this.#reader = reader
    this.#chunks = chunks
    this.#from = from
    this.#to = to
    this.#coming = this.#ask()
  }

  next(): Promise<Uint8Array> {
    if (this.#at === this.#present.length) {
      this.#present = this.#coming
      this.#coming = this.#ask()
      this.#at = 0
    }
    return this.#present[this.#at++]!
  }

  #ask(): Promise<Uint8Array>[] {
    if (this.#from === this.#to) return []
    const end = Math.min(this.#to, this.#chunks.endWithin(this.#from, WINDOW_BYTES))
    const wanted = Array.from({ length: end - this.#from }, (_, i) => this.#from + i)
    this.#from = end
    return this.#reader.read(this.#chunks, wanted)
  }
}
