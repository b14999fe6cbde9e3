// The chunks of a stored run, or of a stretch of it, with their places in the run and in the packs.
//
//   run     | chunk 0 | chunk 1 |   chunk 2   | …          starts[i] is where chunk i begins
//   packs     a: … chunk 0, chunk 1 …   b: … chunk 2 …     neighbours of a run are mostly neighbours in a pack
//
// A range is what one request asks a pack for: whole chunks that lie side by side in the pack and in the run.

import { createHash } from "node:crypto"
import { assert } from "../base/assert.ts"
import type { EngineError } from "../base/error.ts"
import { chunkHash, HASH_BYTES } from "./chunk-list.ts"
import type { PackRange } from "./moved-pack.ts"
import type { RecipeChunks } from "./recipe.ts"
import { packFolderOf } from "./region-kind.ts"
import { packKey } from "./repository-keys.ts"
import { damaged, hexOf } from "./stored-bytes.ts"

/** Plain data: survives structured cloning. */
export interface ChunkStretch {
  /** Identities of the packs that `chunks.packs` refers to. */
  readonly packs: readonly string[]
  readonly chunks: RecipeChunks
  /** Where the first of the chunks begins in the run. */
  readonly start: number
}

/** Chunks `[first, first + count)` as bytes of a pack. */
export interface ChunkRange extends PackRange {
  readonly first: number
  readonly count: number
}

export class RunChunks {
  readonly count: number
  readonly #packs: readonly string[]
  readonly #chunks: RecipeChunks
  /** One more than there are chunks: the last one is the end. */
  readonly #starts: Float64Array

  constructor({ packs, chunks, start }: ChunkStretch) {
    this.count = chunks.count
    this.#packs = packs
    this.#chunks = chunks
    this.#starts = new Float64Array(chunks.count + 1)
    this.#starts[0] = start
    for (let i = 0; i < chunks.count; i++) this.#starts[i + 1] = this.#starts[i]! + chunks.lengths[i]!
  }

  /** Where the last chunk ends in the run: for all chunks of a run, its length. */
  get end(): number {
    return this.#starts[this.count]!
  }

  /** Offset in the run at which chunk `index` begins, and the one before it ends; also of `count`. */
  start(index: number): number {
    return this.#starts[index]!
  }

  /** Length of chunk `index`. */
  bytesOf(index: number): number {
    return this.#chunks.lengths[index]!
  }

  /** SHA-256 of chunk `index`, as a view. */
  hashOf(index: number): Uint8Array {
    return chunkHash(this.#chunks, index)
  }

  /** Whether `bytes` are those of chunk `index`. Hashes them. */
  isChunk(index: number, bytes: Uint8Array): boolean {
    return Buffer.compare(createHash("sha256").update(bytes).digest(), this.hashOf(index)) === 0
  }

  /** The chunk that holds the byte at `offset` of the run, which exists. */
  at(offset: number): number {
    assert(offset >= this.#starts[0]! && offset < this.end, "the byte is in one of the chunks")
    let low = 0
    let high = this.count
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (this.#starts[middle]! <= offset) low = middle
      else high = middle
    }
    return low
  }

  /** The chunk behind those from `from` on that have `bytesMax` together; `from` itself is one of them in any case. */
  endWithin(from: number, bytesMax: number): number {
    let end = from + 1
    while (end < this.count && this.#starts[end + 1]! - this.#starts[from]! <= bytesMax) end++
    return end
  }

  /** The end of each pack as far as these chunks need it, by the pack's id. */
  packEnds(): Map<string, number> {
    const ends = new Map<string, number>()
    for (let i = 0; i < this.count; i++) {
      const pack = this.packOf(i)
      ends.set(pack, Math.max(ends.get(pack) ?? 0, this.#chunks.offsets[i]! + this.bytesOf(i)))
    }
    return ends
  }

  /** Ranges of the chunks `wanted`, which ascend: neighbours joined to `bytesMax`; a longer chunk has its own. */
  ranges(wanted: Iterable<number>, bytesMax: number): ChunkRange[] {
    const { kinds, offsets, packs } = this.#chunks
    const ranges: ChunkRange[] = []
    for (const index of wanted) {
      const bytes = this.bytesOf(index)
      const last = ranges.at(-1)
      const isNeighbour =
        last !== undefined &&
        last.first + last.count === index &&
        packs[index] === packs[index - 1] &&
        last.offset + last.bytes === offsets[index] &&
        last.bytes + bytes <= bytesMax
      if (isNeighbour) {
        ranges[ranges.length - 1] = { ...last, count: last.count + 1, bytes: last.bytes + bytes }
      } else {
        const [pack, folder] = [this.packOf(index), packFolderOf(kinds[index]!)]
        ranges.push({ first: index, count: 1, pack, folder, offset: offsets[index]!, bytes })
      }
    }
    return ranges
  }

  /** Chunks `[from, to)` with buffers of their own. */
  stretch(from: number, to: number): ChunkStretch {
    const { lengths, kinds, hashes, packs, offsets } = this.#chunks
    return {
      packs: this.#packs,
      chunks: {
        count: to - from,
        lengths: lengths.slice(from, to),
        kinds: kinds.slice(from, to),
        hashes: hashes.slice(from * HASH_BYTES, to * HASH_BYTES),
        packs: packs.slice(from, to),
        offsets: offsets.slice(from, to),
      },
      start: this.#starts[from]!,
    }
  }

  /** The error of a chunk whose bytes are not those of its name. */
  damage(index: number): EngineError {
    const hash = this.hashOf(index)
    return damaged(
      packKey(this.packOf(index), packFolderOf(this.#chunks.kinds[index]!)),
      `the chunk at byte ${this.#chunks.offsets[index]} does not have the hash ${hexOf(hash, 0, hash.length)}`,
    )
  }

  /** Id of the pack that chunk `index` lies in. */
  packOf(index: number): string {
    return this.#packs[this.#chunks.packs[index]!]!
  }

  /** Where chunk `index` begins in its pack. */
  offsetOf(index: number): number {
    return this.#chunks.offsets[index]!
  }
}
