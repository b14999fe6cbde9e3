// An image in the making: regions as they come, chunks as columns that double when they are full.

import { assert } from "../base/assert.ts"
import { EngineError } from "../base/error.ts"
import type { ChunkPlace } from "../snapshots/chunk-index.ts"
import { HASH_BYTES } from "../snapshots/chunk-list.ts"
import type { ImageName } from "../snapshots/repository-keys.ts"
import { IMAGE_BYTES_MAX, type ImageMap, imageBytes, type MappedRegion } from "./image-format.ts"

const CHUNKS_START = 256

export class ImageMapBuilder {
  readonly #regions: MappedRegion[] = []
  readonly #packNumbers = new Map<string, number>()
  #count = 0
  #firstChunk = 0
  #kinds = new Uint8Array(CHUNKS_START)
  #hashes = new Uint8Array(CHUNKS_START * HASH_BYTES)
  #zeroPages = new Uint32Array(CHUNKS_START)
  #offsets = new Uint32Array(CHUNKS_START)
  #lengths = new Uint32Array(CHUNKS_START)
  #packs = new Uint32Array(CHUNKS_START)

  /**
   * The next chunk of the present region; `hash` has HASH_BYTES and is copied.
   * @throws EngineError `SETTING_INVALID` when the image would have too many
   */
  addChunk(kind: number, hash: Uint8Array, zeroPages: number, place: ChunkPlace): void {
    if (this.#count === this.#kinds.length) this.#grow()
    let pack = this.#packNumbers.get(place.pack)
    if (pack === undefined) {
      pack = this.#packNumbers.size
      this.#packNumbers.set(place.pack, pack)
    }
    const at = this.#count++
    this.#kinds[at] = kind
    this.#hashes.set(hash, at * HASH_BYTES)
    this.#zeroPages[at] = zeroPages
    this.#offsets[at] = place.offset
    this.#lengths[at] = place.length
    this.#packs[at] = pack
    if (imageBytes(this.#regions.length + 1, this.#packNumbers.size, this.#count) <= IMAGE_BYTES_MAX) return
    throw new EngineError(
      "SETTING_INVALID",
      `the image has more than ${at} chunks: its list would take more than ${IMAGE_BYTES_MAX} bytes; store it in parts`,
    )
  }

  /** Ends the present region: the chunks since the last one are its own. */
  endRegion(region: Omit<MappedRegion, "firstChunk" | "chunkCount">): void {
    const firstChunk = this.#firstChunk
    this.#regions.push({ ...region, firstChunk, chunkCount: this.#count - firstChunk })
    this.#firstChunk = this.#count
  }

  /** The image; it has buffers of its own. */
  build(name: ImageName, createdMs: number): ImageMap {
    assert(this.#firstChunk === this.#count, "every chunk is of a region")
    const count = this.#count
    const lengths = this.#lengths.slice(0, count)
    return {
      ...name,
      createdMs,
      bytes: this.#regions.reduce((sum, { bytes }) => sum + bytes, 0),
      chunkBytes: lengths.reduce((sum, bytes) => sum + bytes, 0),
      regions: this.#regions,
      packs: [...this.#packNumbers.keys()],
      chunks: {
        count,
        kinds: this.#kinds.slice(0, count),
        hashes: this.#hashes.slice(0, count * HASH_BYTES),
        zeroPages: this.#zeroPages.slice(0, count),
        offsets: this.#offsets.slice(0, count),
        lengths,
        packs: this.#packs.slice(0, count),
      },
    }
  }

  #grow(): void {
    const larger = <Column extends Uint8Array | Uint32Array>(column: Column): Column => {
      const grown = new (column.constructor as new (length: number) => Column)(column.length * 2)
      grown.set(column)
      return grown
    }
    this.#kinds = larger(this.#kinds)
    this.#hashes = larger(this.#hashes)
    this.#zeroPages = larger(this.#zeroPages)
    this.#offsets = larger(this.#offsets)
    this.#lengths = larger(this.#lengths)
    this.#packs = larger(this.#packs)
  }
}
