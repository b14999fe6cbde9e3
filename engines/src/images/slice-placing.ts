// From cut slices to places in packs and entries of the image, in the order of the regions.

import { chunkHash } from "../snapshots/chunk-list.ts"
import type { CutSlice } from "./cut-slices.ts"
import { PAGE_BYTES } from "./image-format.ts"
import type { ImageMapBuilder } from "./image-map-builder.ts"
import type { ImagePacks } from "./image-packs.ts"
import { type RegionSource, type Slice, sourceAddress } from "./region-source.ts"

/** Chunks looked up before other work gets its turn: about 0.5 ms. */
const CHUNKS_A_TURN = 256

/** Puts cut slices, in order, into packs and into the image. */
export class SlicePlacing {
  readonly #regions: readonly RegionSource[]
  readonly #packs: ImagePacks
  readonly #builder: ImageMapBuilder
  /** Zero pages since the last chunk of the region. */
  #zeroPages = 0
  #sinceTurn = 0

  constructor(regions: readonly RegionSource[], packs: ImagePacks, builder: ImageMapBuilder) {
    this.#regions = regions
    this.#packs = packs
    this.#builder = builder
  }

  /** @returns whether other work should get its turn */
  add(slice: Slice, { chunks, zeroPages, zeroPagesBehind }: CutSlice): boolean {
    let offset = slice.offset
    for (let i = 0; i < chunks.count; i++) {
      offset += zeroPages[i]! * PAGE_BYTES
      const place = this.#packs.place(chunks, i, slice.source, offset)
      this.#builder.addChunk(slice.storedAs, chunkHash(chunks, i), this.#zeroPages + zeroPages[i]!, place)
      this.#zeroPages = 0
      offset += chunks.lengths[i]!
    }
    this.#zeroPages += zeroPagesBehind
    if (slice.isLast) this.#endRegion(slice)
    this.#sinceTurn += chunks.count
    if (this.#sinceTurn < CHUNKS_A_TURN) return false
    this.#sinceTurn = 0
    return true
  }

  #endRegion({ region, storedAs }: Slice): void {
    const source = this.#regions[region]!
    const { kind, bytes } = source
    this.#builder.endRegion({ kind, storedAs, address: sourceAddress(source), bytes: bytes.length })
    this.#zeroPages = 0
  }
}
