// Function images in a repository: the memory of a process that was stopped, region by region, so that it can be started
// again from there. Images of one program, and of programs that share libraries, are alike: what repeats is stored once.
//
//   store    cut slices (jobs) ── look chunks up, by kind ── write packs (jobs) ── create the image: from here on it exists
//   load     image ── ranges of packs ── each chunk hashed ── memory of chunks ── pieces
//
// After SnapStore: snapshots of functions in a store that finds duplicates among regions of one kind. Before the image is
// there a crash leaves nothing but packs that nobody refers to; garbage collection takes them.

import { ClosableCalls } from "../base/closable-calls.ts"
import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { Seams } from "../io/seams.ts"
import { ChunkReader } from "../snapshots/chunk-reader.ts"
import {
  IMAGES_PREFIX,
  type ImageName,
  imageKey,
  imagePrefix,
  newPackId,
  parseImageKey,
} from "../snapshots/repository-keys.ts"
import { openRepositoryRoot, type RepositoryRoot } from "../snapshots/repository-root.ts"
import {
  decodeImage,
  decodeImageHeader,
  IMAGE_BYTES_MAX,
  IMAGE_HEADER_BYTES,
  type ImageSummary,
} from "./image-format.ts"
import { StoredImage } from "./image-reader.ts"
import { type ImageStored, ImageWriter } from "./image-writer.ts"
import { checkRegions, type RegionSource } from "./region-source.ts"

/** Headers of one listing that are read at the same time. */
const HEADERS_AT_ONCE = 16

/** How images are stored and read. */
export interface ImageStoreOptions {
  /** How much of what is read stays in memory, in bytes. @default CHUNK_CACHE_BYTES_DEFAULT */
  readonly chunkCacheBytes?: number
  /**
   * `apart`: code, memory and other are looked for among their own kind, and filed in packs of their own. `together`:
   * everything counts as other. Images of both ways may be in one repository. @default "apart"
   */
  readonly regionKinds?: "apart" | "together"
  /** What is to be closed after the store. */
  readonly afterClose?: () => Promise<void>
}

/** What a repository holds. */
export interface ImageListing {
  /** By name, then by age. */
  readonly images: readonly ImageSummary[]
  /** Images that cannot be believed, by their keys. */
  readonly damaged: ReadonlyMap<string, Error>
}

/** One for a repository; calls may overlap. Methods reject with EngineError `ENGINE_CLOSED` once it is closed. */
export class ImageStore {
  readonly #objectStore: ObjectStore
  readonly #seams: Seams
  readonly #reader: ChunkReader
  readonly #writer: ImageWriter
  readonly #afterClose: () => Promise<void>
  readonly #calls: ClosableCalls
  #isClosed = false

  private constructor(
    objectStore: ObjectStore,
    seams: Seams,
    root: RepositoryRoot,
    options: ImageStoreOptions,
  ) {
    this.#afterClose = options.afterClose ?? (async () => undefined)
    this.#objectStore = objectStore
    this.#calls = new ClosableCalls(`the images of ${objectStore.url} are closed`)
    this.#seams = seams
    this.#reader = new ChunkReader(objectStore, seams.clock, options.chunkCacheBytes)
    this.#writer = new ImageWriter(objectStore, seams, {
      chunking: root.chunking,
      isApart: options.regionKinds !== "together",
    })
  }

  /**
   * Opens the images of the repository in `objectStore`; makes the repository when there is none. Both arguments stay
   * the caller's, who closes them after the store.
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`, `SETTING_INVALID`
   * @internal
   */
  static async open(
    objectStore: ObjectStore,
    seams: Seams,
    options: ImageStoreOptions = {},
  ): Promise<ImageStore> {
    return new ImageStore(objectStore, seams, await openRepositoryRoot(objectStore, seams.random), options)
  }

  /** Bytes of chunks in memory. */
  get cachedBytes(): number {
    return this.#reader.cachedBytes
  }

  /**
   * Stores an image of the regions, in their order; durable when it resolves.
   * @param name 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first; any number of images have one name
   * @throws (rejects) EngineError `SETTING_INVALID`; `DATA_LOSS` when a file is too short or changes meanwhile;
   * `STORAGE_FAILED`, `REPOSITORY_FAILED`, `STORAGE_FULL`; there is no image then, unless it was the answer to its
   * creation that was lost: lists show it
   */
  store(name: string, regions: readonly RegionSource[]): Promise<ImageStored> {
    return this.#calls.run(async () => {
      const image = { name, id: newPackId(this.#seams.clock, this.#seams.random) }
      imageKey(image)
      checkRegions(regions)
      return await this.#writer.store(image, regions)
    })
  }

  /**
   * An image, open for reading: its list is read and checked, its chunks as they are asked for.
   * @throws (rejects) EngineError `SNAPSHOT_NOT_FOUND`, `SETTING_INVALID`, `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`
   */
  load(image: ImageName): Promise<StoredImage> {
    return this.#calls.run(() => this.#open(image, this.#reader))
  }

  /**
   * Writes all regions of an image to a file: see `StoredImage.writeTo`.
   * @throws (rejects) EngineError as `load`, and `STORAGE_FULL`, `STORAGE_FAILED`
   */
  loadTo(image: ImageName, path: string): Promise<void> {
    return this.#calls.run(async () =>
      (await this.#open(image, this.#reader)).writeTo(this.#seams.fileSystem, path),
    )
  }

  /**
   * Reads all of an image from the repository and proves every hash. @returns what it has
   * @throws (rejects) EngineError as `load`; `DATA_LOSS` names the first object that is damaged
   */
  verify(image: ImageName): Promise<{
    /** Chunks that were proven. */
    readonly chunks: number
    /** Their bytes. */
    readonly bytes: number
  }> {
    return this.#calls.run(async () => {
      // What is in memory proves nothing of what is stored.
      const stored = await this.#open(image, new ChunkReader(this.#objectStore, this.#seams.clock, 0))
      let chunks = 0
      for await (const { bytes } of stored.pieces()) if (bytes !== undefined) chunks++
      return { chunks, bytes: stored.map.bytes }
    })
  }

  /** All images, or those of one name. @throws (rejects) EngineError `SETTING_INVALID`, `REPOSITORY_FAILED` */
  list(name?: string): Promise<ImageListing> {
    return this.#calls.run(async () => {
      const objects = await this.#objectStore.list(name === undefined ? IMAGES_PREFIX : imagePrefix(name))
      const keys = objects.flatMap(({ key }) => (parseImageKey(key) === undefined ? [] : [key]))
      const damaged = new Map<string, Error>()
      const images = await eachAtOnce(keys, HEADERS_AT_ONCE, async (key) => {
        try {
          const source = await this.#objectStore.get(key, { offset: 0, bytes: IMAGE_HEADER_BYTES })
          return source === undefined ? undefined : decodeImageHeader(source, key)
        } catch (error) {
          if (!isEngineError(error, "DATA_LOSS") && !isEngineError(error, "FORMAT_NEWER")) throw error
          damaged.set(key, error)
          return undefined
        }
      })
      return { images: images.filter((image) => image !== undefined), damaged }
    })
  }

  /**
   * Removes an image; its chunks go with garbage collection. One that is not there is no error, one that is damaged goes.
   * @throws (rejects) EngineError `SETTING_INVALID`, `REPOSITORY_FAILED`
   */
  delete(image: ImageName): Promise<void> {
    return this.#calls.run(async () => this.#objectStore.remove(imageKey(image)))
  }

  /** Refuses new calls and waits for those that run. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#calls.close()
    await this.#afterClose()
  }

  async #open(name: ImageName, reader: ChunkReader): Promise<StoredImage> {
    const key = imageKey(name)
    const source = await this.#objectStore.get(key, { offset: 0, bytes: IMAGE_BYTES_MAX + 1 })
    if (source !== undefined) return new StoredImage(decodeImage(source, key), reader)
    throw new EngineError("SNAPSHOT_NOT_FOUND", `there is no image ${name.id} of ${name.name}`)
  }
}
