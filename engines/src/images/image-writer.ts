// Getting images into the repository: what it does not hold yet of their regions, in packs, then the image itself.
//
//   cut slices (jobs) ── look chunks up, by kind ── write packs (jobs) ── remember their chunks ── create the image
//
// What it has is known from a bounded index of chunks (snapshots/known-chunks.ts); why an image keeps what it relies on
// stands in garbage/README.md.
//
// Memory of a call: cut slices of 4 × 4 MiB, two packs of 32 MiB on their way, those that are open as places in the
// sources, and 52 bytes a chunk for the image.

import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError } from "../base/error.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Seams } from "../io/seams.ts"
import type { ChunkingParameters } from "../snapshots/chunker.ts"
import { TRUST_MS } from "../snapshots/condemned-packs.ts"
import { ElapsedTime } from "../snapshots/elapsed-time.ts"
import { KnownChunks } from "../snapshots/known-chunks.ts"
import {
  CONDEMNED_PREFIX,
  type ImageName,
  imageKey,
  PACKS_PREFIX,
  parseCondemnedKey,
  parsePackKey,
} from "../snapshots/repository-keys.ts"
import { StoredRuns } from "../snapshots/stored-runs.ts"
import { type CutSlice, cutSlices } from "./cut-slices.ts"
import { encodeImage, imageKinds } from "./image-format.ts"
import { ImageMapBuilder } from "./image-map-builder.ts"
import { ImagePacks } from "./image-packs.ts"
import { copyOf, type RegionSource, type Slice, sliceBatches } from "./region-source.ts"
import { SlicePlacing } from "./slice-placing.ts"

/** Batches of slices that are cut at the same time. */
const CUTS_AT_ONCE = 4
/** A call that took longer than this looks again whether its packs stay; half of what readings are good for. */
const COMMIT_MS_MAX = TRUST_MS / 2

/** What storing an image did. */
export interface ImageStored {
  /** 32 hex digits, random. */
  readonly id: string
  /** Of all regions. */
  readonly bytes: number
  /** Bytes of the objects written: chunks, their entries, and the image itself. */
  readonly bytesNew: number
  /** Bytes of chunks that were there already, or came up twice. */
  readonly bytesReused: number
  /** Bytes that are zeros, in whole pages: they are not stored. */
  readonly bytesZero: number
  /** Chunks that were stored. */
  readonly chunksNew: number
  /** Chunks that were there already, or came up twice. */
  readonly chunksReused: number
}

export interface ImageWriterOptions {
  readonly chunking: ChunkingParameters
  /** Whether chunks keep the kinds of their regions. */
  readonly isApart: boolean
}

/** One for an ImageStore. Calls may overlap. */
export class ImageWriter {
  readonly #objectStore: ObjectStore
  readonly #seams: Seams
  readonly #options: ImageWriterOptions
  readonly #known: KnownChunks
  readonly #elapsed: ElapsedTime

  constructor(objectStore: ObjectStore, seams: Seams, options: ImageWriterOptions) {
    this.#objectStore = objectStore
    this.#seams = seams
    this.#options = options
    this.#known = new KnownChunks(objectStore, {
      clock: seams.clock,
      storedRuns: new StoredRuns(objectStore, seams.clock, 0),
      folders: imageKinds,
      // Its chunks are stored anew; who needs the pack finds out by itself.
      onDamage: () => undefined,
    })
    this.#elapsed = new ElapsedTime(seams.clock)
  }

  /** See `ImageStore.store`; the regions were checked. */
  async store(name: ImageName, regions: readonly RegionSource[]): Promise<ImageStored> {
    const startedMs = this.#elapsed.ms()
    const packs = new ImagePacks({
      url: this.#objectStore.url,
      seams: this.#seams,
      known: this.#known,
      written: (pack, chunks) => this.#known.remember(pack, chunks),
    })
    const builder = new ImageMapBuilder()
    try {
      await this.#place(regions, packs, builder)
      await packs.finish()
    } finally {
      // The caller may change the regions' bytes once the call is over.
      await packs.settle()
    }
    const map = builder.build(name, Math.max(0, Math.floor(this.#seams.clock.nowMs())))
    const encoded = encodeImage(map)
    const key = imageKey(name)
    if (!(await this.#objectStore.create(key, [encoded]))) {
      throw new EngineError("REPOSITORY_FAILED", `${key} exists already: two images were given one identity`)
    }
    if (this.#elapsed.ms() - startedMs > COMMIT_MS_MAX) await this.#checkPacksStay(key, map.packs)
    const { bytesNew, ...figures } = packs.figures
    const { bytes, chunkBytes } = map
    return {
      id: name.id,
      bytes,
      ...figures,
      bytesNew: bytesNew + encoded.length,
      bytesZero: bytes - chunkBytes,
    }
  }

  /** Cuts the regions and places their chunks, some batches at a time. */
  async #place(regions: readonly RegionSource[], packs: ImagePacks, builder: ImageMapBuilder): Promise<void> {
    const batches = sliceBatches(regions, this.#options.isApart)
    const placing = new SlicePlacing(regions, packs, builder)
    for (;;) {
      const round: Slice[][] = []
      while (round.length < CUTS_AT_ONCE) {
        const next = batches.next()
        if (next.done === true) break
        round.push(next.value)
      }
      if (round.length === 0) return
      await this.#known.refresh()
      // Both are over before either's failure is told: the caller may then change the regions.
      const cutting = eachAtOnce(round, CUTS_AT_ONCE, (batch) => this.#cut(batch))
      const [cut, loaded] = await Promise.allSettled([cutting, this.#known.load()])
      if (cut.status === "rejected") throw cut.reason
      if (loaded.status === "rejected") throw loaded.reason
      for (const [i, batch] of round.entries()) {
        for (const [at, slice] of batch.entries()) {
          if (placing.add(slice, cut.value[i]![at]!)) await this.#seams.clock.nextTurn()
        }
      }
      await packs.advance()
    }
  }

  #cut(batch: readonly Slice[]): Promise<CutSlice[]> {
    const copies: ArrayBuffer[] = []
    const slices = batch.map(({ source, offset, bytes, storedAs }) => {
      if ("path" in source) {
        return { source: { path: source.path, offset: source.offset + offset, length: bytes }, storedAs }
      }
      const copy = copyOf(source, offset, bytes)
      copies.push(copy.buffer)
      return { source: copy, storedAs }
    })
    return this.#seams.executor.run(cutSlices, { slices, parameters: this.#options.chunking }, copies)
  }

  /**
   * After a time in which packs may have been condemned and removed: an image that relies on one is taken back. One that
   * is there and not condemned stays, since whoever condemns it from now on sees the image before it removes anything.
   */
  async #checkPacksStay(key: string, packs: readonly string[]): Promise<void> {
    const objects = await this.#objectStore.list(PACKS_PREFIX)
    const present = new Set(objects.flatMap((object) => parsePackKey(object.key) ?? []))
    for (const mark of await this.#objectStore.list(CONDEMNED_PREFIX)) {
      present.delete(parseCondemnedKey(mark.key) ?? "")
    }
    const gone = packs.find((pack) => !present.has(pack))
    if (gone === undefined) return
    await this.#objectStore.remove(key)
    throw new EngineError(
      "REPOSITORY_FAILED",
      `storing took so long that garbage collection has taken pack ${gone}, which the image needs: store it again`,
    )
  }
}
