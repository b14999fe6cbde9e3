// The packs of one image that is being stored: one is filled for each kind of chunk, full ones are written by jobs.
//
//   chunk ── known to the store, or placed before in this image? ──► its place
//         └─ new: the open pack of its kind ── full ──► writing, PACKS_AT_ONCE at a time ──► remembered by the store
//
// A chunk is held as a part of its source until its pack is written. What a job cannot see, bytes of the caller, is
// copied for it.

import type { Seams } from "../io/seams.ts"
import { ChunkIndex, type ChunkPlace } from "../snapshots/chunk-index.ts"
import { type ChunkList, ChunkListBuilder, chunkHash, HASH_BYTES } from "../snapshots/chunk-list.ts"
import { PACK_BYTES_MAX, packBytes } from "../snapshots/pack.ts"
import { type PackFolder, packFolderOf } from "../snapshots/region-kind.ts"
import { newPackId } from "../snapshots/repository-keys.ts"
import { copyOf, type FileRange } from "./region-source.ts"
import { type PackPiece, writeImagePack } from "./write-image-pack.ts"

/** Packs that are written at the same time; as many are in memory. */
const PACKS_AT_ONCE = 2
/** Neighbouring chunks of a source are read, and copied, together up to this size. */
const PIECE_BYTES = 1024 * 1024

/** Where packs go, and what is known already. */
export interface ImagePacksHost {
  readonly url: string
  readonly seams: Pick<Seams, "clock" | "random" | "executor">
  readonly known: Pick<ChunkIndex, "get">
  /** A pack is durable; `chunks` are what it has, in order. */
  written(pack: string, chunks: ChunkList): Promise<void>
}

export class ImagePacks {
  readonly #host: ImagePacksHost
  /** Chunks that this image stores. */
  readonly #placed = new ChunkIndex()
  readonly #open = new Map<PackFolder, PackDraft>()
  #full: PackDraft[] = []
  readonly #writing = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined
  #bytesNew = 0
  #bytesReused = 0
  #chunksNew = 0
  #chunksReused = 0

  constructor(host: ImagePacksHost) {
    this.#host = host
  }

  /** What was stored: bytes of packs, entries included, and of chunks that were there before or came up twice. */
  get figures(): { bytesNew: number; bytesReused: number; chunksNew: number; chunksReused: number } {
    return {
      bytesNew: this.#bytesNew,
      bytesReused: this.#bytesReused,
      chunksNew: this.#chunksNew,
      chunksReused: this.#chunksReused,
    }
  }

  /** Where chunk `i` of `chunks` lies or will lie; its bytes are `source` from `offset` on. */
  place(chunks: ChunkList, i: number, source: Uint8Array | FileRange, offset: number): ChunkPlace {
    const kind = chunks.kinds[i]!
    const length = chunks.lengths[i]!
    const at = i * HASH_BYTES
    const known = this.#host.known.get(kind, chunks.hashes, at) ?? this.#placed.get(kind, chunks.hashes, at)
    if (known?.length === length) {
      this.#chunksReused++
      this.#bytesReused += length
      return known
    }
    const pack = this.#packWithRoom(packFolderOf(kind), length)
    const place = { pack: pack.id, offset: pack.add(chunks, i, source, offset), length }
    this.#placed.add(kind, chunks.hashes, at, place)
    this.#chunksNew++
    return place
  }

  /** Begins to write packs that are full; resolves when no more than PACKS_AT_ONCE are under way. */
  async advance(): Promise<void> {
    const full = this.#full
    this.#full = []
    for (const pack of full) {
      while (this.#writing.size >= PACKS_AT_ONCE) await Promise.race(this.#writing)
      if (this.#failure !== undefined) throw this.#failure.error
      this.#begin(pack)
    }
  }

  /** Writes what is left; all packs are durable when it resolves. */
  async finish(): Promise<void> {
    this.#full.push(...this.#open.values())
    this.#open.clear()
    await this.advance()
    await this.settle()
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Resolves when nothing is being written any more, however that went. */
  async settle(): Promise<void> {
    await Promise.all(this.#writing)
  }

  #packWithRoom(folder: PackFolder, bytes: number): PackDraft {
    const open = this.#open.get(folder)
    if (open?.hasRoom(bytes) === true) return open
    if (open !== undefined) this.#full.push(open)
    const { clock, random } = this.#host.seams
    const pack = new PackDraft(newPackId(clock, random), folder)
    this.#open.set(folder, pack)
    return pack
  }

  /** Never rejects: a failure is remembered. */
  #begin(pack: PackDraft): void {
    const writing = this.#write(pack)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
  }

  async #write({ id, folder, list, pieces: sources }: PackDraft): Promise<void> {
    const { url, seams, written } = this.#host
    const chunks = list.build()
    const pieces: PackPiece[] = []
    const copies: ArrayBuffer[] = []
    for (const { source, offset, bytes, chunkCount } of sources) {
      if ("path" in source) {
        pieces.push({
          source: { path: source.path, offset: source.offset + offset, length: bytes },
          chunkCount,
        })
        continue
      }
      const copy = copyOf(source, offset, bytes)
      copies.push(copy.buffer)
      pieces.push({ source: copy, chunkCount })
      await seams.clock.nextTurn()
    }
    const bytes = await seams.executor.run(writeImagePack, { url, id, folder, chunks, pieces }, copies)
    this.#bytesNew += bytes
    await written(id, chunks)
  }
}

interface DraftPiece {
  readonly source: Uint8Array | FileRange
  readonly offset: number
  bytes: number
  chunkCount: number
}

/** A pack that is being filled. */
class PackDraft {
  readonly id: string
  readonly folder: PackFolder
  readonly list = new ChunkListBuilder()
  readonly pieces: DraftPiece[] = []
  #bytes = 0

  constructor(id: string, folder: PackFolder) {
    this.id = id
    this.folder = folder
  }

  hasRoom(bytes: number): boolean {
    const { count } = this.list
    return count === 0 || packBytes(count + 1, this.#bytes + bytes) <= PACK_BYTES_MAX
  }

  /** Returns the chunk's offset in the pack. */
  add(chunks: ChunkList, i: number, source: Uint8Array | FileRange, offset: number): number {
    const length = chunks.lengths[i]!
    this.list.add(chunks.kinds[i]!, length, chunks.crcs[i]!, chunkHash(chunks, i))
    const last = this.pieces.at(-1)
    if (
      last?.source === source &&
      last.offset + last.bytes === offset &&
      last.bytes + length <= PIECE_BYTES
    ) {
      last.bytes += length
      last.chunkCount++
    } else {
      this.pieces.push({ source, offset, bytes: length, chunkCount: 1 })
    }
    const at = this.#bytes
    this.#bytes += length
    return at
  }
}
