// What a call of `storeRuns` will write: which chunks are new, in which pack each of them goes, and the recipes.
// Decided on the owner's thread before anything is written; the packs are written by jobs.
//
// A chunk counts as known when the repository's index has it or when it came up earlier in the same plan. Chunks
// of the plan get into the repository's index only when their pack is durable, so nobody else relies on them
// before.

import { assert } from "../base/assert.ts"
import type { Clock } from "../io/clock.ts"
import type { Random } from "../io/random.ts"
import type { RunFigures } from "../runs/run.ts"
import { ChunkIndex, type ChunkPlace } from "./chunk-index.ts"
import { type ChunkList, ChunkListBuilder, chunkHash, HASH_BYTES } from "./chunk-list.ts"
import { PACK_BYTES_MAX, packBytes } from "./pack.ts"
import { type Recipe, recipeBytes } from "./recipe.ts"
import { newPackId } from "./repository-keys.ts"
import type { PackToWrite } from "./write-pack.ts"

/** Chunks looked up before other work gets its turn: about 0.5 ms. */
const CHUNKS_A_TURN = 256

/** One pack of the plan, but for the URL; `bytes` is the size of the object. */
export type PlannedPack = Omit<PackToWrite, "url"> & { readonly bytes: number }

export interface StorePlanOptions {
  /** What the repository is known to hold; undefined: every chunk is stored, as often as it comes up. */
  readonly known: Pick<ChunkIndex, "get"> | undefined
  /** Up to PACK_BYTES_MAX, its default. A pack of one chunk, or of one recipe, may be larger. */
  readonly packBytesMax?: number
}

export class StorePlan {
  readonly #options: StorePlanOptions
  readonly #seams: { readonly clock: Clock; readonly random: Random }
  /** Chunks that this plan stores. */
  readonly #planned = new ChunkIndex()
  readonly #packs: PackDraft[] = []
  readonly #recipes: Recipe[] = []
  #bytesReused = 0
  #chunksNew = 0
  #chunksReused = 0

  constructor(options: StorePlanOptions, seams: { readonly clock: Clock; readonly random: Random }) {
    this.#options = options
    this.#seams = seams
  }

  get bytesReused(): number {
    return this.#bytesReused
  }

  get chunksNew(): number {
    return this.#chunksNew
  }

  get chunksReused(): number {
    return this.#chunksReused
  }

  /** Plans a run whose file at `path` was cut into `chunks`. */
  async addRun(figures: RunFigures, path: string, chunks: ChunkList): Promise<void> {
    const packNumbers = new Map<string, number>()
    const packs = new Uint32Array(chunks.count)
    const offsets = new Uint32Array(chunks.count)
    let fileOffset = 0
    for (let i = 0; i < chunks.count; i++) {
      if (i % CHUNKS_A_TURN === CHUNKS_A_TURN - 1) await this.#seams.clock.nextTurn()
      const place = this.#place(chunks, i, { path, offset: fileOffset })
      let pack = packNumbers.get(place.pack)
      if (pack === undefined) {
        pack = packNumbers.size
        packNumbers.set(place.pack, pack)
      }
      packs[i] = pack
      offsets[i] = place.offset
      fileOffset += chunks.lengths[i]!
    }
    assert(fileOffset === figures.bytes, "the chunks make up the run")
    const { count, kinds, lengths, hashes } = chunks
    this.#recipes.push({
      run: figures.id,
      runBytes: figures.bytes,
      packs: [...packNumbers.keys()],
      chunks: { count, kinds, lengths, hashes, packs, offsets },
    })
  }

  /** The packs in the order in which they are to be written; the recipes, in the order of the runs, come last. */
  finish(): PlannedPack[] {
    for (const recipe of this.#recipes) {
      const bytes = recipeBytes(recipe.packs.length, recipe.chunks.count)
      this.#packWithRoom(bytes).addRecipe(recipe, bytes)
    }
    return this.#packs.map((pack) => pack.build())
  }

  /** Where chunk `i` lies or will lie. */
  #place(chunks: ChunkList, i: number, source: { path: string; offset: number }): ChunkPlace {
    const kind = chunks.kinds[i]!
    const length = chunks.lengths[i]!
    const at = i * HASH_BYTES
    const known = this.#find(kind, chunks.hashes, at)
    if (known?.length === length) {
      this.#chunksReused++
      this.#bytesReused += length
      return known
    }
    const pack = this.#packWithRoom(length)
    const place = { pack: pack.id, offset: pack.addChunk(chunks, i, source), length }
    if (this.#options.known !== undefined) this.#planned.add(kind, chunks.hashes, at, place)
    this.#chunksNew++
    return place
  }

  #find(kind: number, hashes: Uint8Array, at: number): ChunkPlace | undefined {
    const { known } = this.#options
    if (known === undefined) return undefined
    return known.get(kind, hashes, at) ?? this.#planned.get(kind, hashes, at)
  }

  #packWithRoom(bytes: number): PackDraft {
    const last = this.#packs.at(-1)
    if (last?.hasRoom(bytes, this.#options.packBytesMax ?? PACK_BYTES_MAX) === true) return last
    const pack = new PackDraft(newPackId(this.#seams.clock, this.#seams.random))
    this.#packs.push(pack)
    return pack
  }
}

/** A pack that is being filled. */
class PackDraft {
  readonly id: string
  readonly #chunks = new ChunkListBuilder()
  readonly #paths: string[] = []
  readonly #sources: number[] = []
  readonly #sourceOffsets: number[] = []
  readonly #recipes: Recipe[] = []
  #bytes = 0

  constructor(id: string) {
    this.id = id
  }

  hasRoom(bytes: number, bytesMax: number): boolean {
    const count = this.#chunks.count + this.#recipes.length
    return count === 0 || packBytes(count + 1, this.#bytes + bytes) <= bytesMax
  }

  /** Size of the object. */
  get bytes(): number {
    return packBytes(this.#chunks.count + this.#recipes.length, this.#bytes)
  }

  /** Returns the chunk's offset in the pack. */
  addChunk(chunks: ChunkList, i: number, source: { path: string; offset: number }): number {
    assert(this.#recipes.length === 0, "recipes come last")
    if (this.#paths.at(-1) !== source.path) this.#paths.push(source.path)
    this.#chunks.add(chunks.kinds[i]!, chunks.lengths[i]!, chunks.crcs[i]!, chunkHash(chunks, i))
    this.#sources.push(this.#paths.length - 1)
    this.#sourceOffsets.push(source.offset)
    const offset = this.#bytes
    this.#bytes += chunks.lengths[i]!
    return offset
  }

  addRecipe(recipe: Recipe, bytes: number): void {
    this.#recipes.push(recipe)
    this.#bytes += bytes
  }

  build(): PlannedPack {
    return {
      id: this.id,
      bytes: this.bytes,
      paths: this.#paths,
      chunks: this.#chunks.build(),
      sources: Uint32Array.from(this.#sources),
      sourceOffsets: Float64Array.from(this.#sourceOffsets),
      recipes: this.#recipes,
    }
  }
}
