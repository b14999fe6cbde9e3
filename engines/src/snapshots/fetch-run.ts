// A job for another thread: puts a run together again from its chunks.
//
//   recipe ──► ranges: chunks that lie one behind the other in one pack, 2 MiB at most
//          ──► up to 8 ranges on their way, taken in order ──► each chunk hashed ──► <path>.tmp
//          ──► all hashes right: sync, rename to <path>, sync the directory
//
// A chunk larger than a range comes in several; its hash runs on over them. So 16 MiB bound the memory whatever
// the sizes of chunks and run, and no byte is under the final name before it is proven.

import { createHash } from "node:crypto"
import { dirname } from "node:path"
import { EngineError } from "../base/error.ts"
import { defineJob, type JobContext } from "../io/executor.ts"
import type { File } from "../io/file-system.ts"
import type { ObjectStore } from "../io/object-store.ts"
import { TEMPORARY_SUFFIX } from "../runs/run-writer.ts"
import { chunkHash } from "./chunk-list.ts"
import type { StoredRun } from "./manifest.ts"
import { decodeRecipe, type Recipe } from "./recipe.ts"
import { packKey } from "./repository-keys.ts"
import { damaged, hexOf } from "./stored-bytes.ts"

const RANGE_BYTES = 2 * 1024 * 1024
const RANGES_IN_FLIGHT = 8

export interface FetchRunInput {
  /** URL of the object store. */
  readonly url: string
  readonly run: StoredRun
  /** Absolute; nothing is there yet, nor under the temporary name, which is removed first. */
  readonly path: string
}

/**
 * Writes a run to `path`; durable, and byte for byte what was stored, when it resolves. When it fails, nothing
 * is at `path`.
 * @throws (rejects) EngineError `DATA_LOSS` naming the pack, `FORMAT_NEWER`, `REPOSITORY_FAILED`, `STORAGE_FULL`,
 * `STORAGE_FAILED`
 */
export const fetchRun = defineJob(
  import.meta.url,
  "fetchRun",
  async (context, { url, run, path }: FetchRunInput) => {
    const objectStore = await context.objectStore(url)
    const recipe = await readRecipe(objectStore, run)
    await writeFile(context, path, (file) => writeChunks(objectStore, recipe, file))
  },
)

/** Reads and checks the recipe of a run. @throws (rejects) as `fetchRun` */
async function readRecipe(objectStore: ObjectStore, run: StoredRun): Promise<Recipe> {
  const { pack, offset, bytes, hash } = run.recipe
  const key = packKey(pack)
  const name = `${key}: recipe of run ${run.id} at byte ${offset}`
  const source = await objectStore.get(key, { offset, bytes })
  if (source === undefined) throw damaged(key, "it is missing")
  if (source.length !== bytes) throw damaged(name, "the pack ends before it")
  if (createHash("sha256").update(source).digest("hex") !== hash) throw damaged(name, "hash of the recipe")
  const recipe = decodeRecipe(source, name)
  if (recipe.run !== run.id) throw damaged(name, `it is the recipe of run ${recipe.run}`)
  if (recipe.runBytes !== run.bytes) throw damaged(name, `its run has not ${run.bytes} bytes`)
  return recipe
}

/** Publishes what `write` puts into a file: temporary name, sync, rename, sync of the directory. */
async function writeFile(
  { fileSystem }: JobContext,
  path: string,
  write: (file: File) => Promise<void>,
): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX
  await fileSystem.remove(temporary)
  const file = await fileSystem.open(temporary, "create")
  try {
    try {
      await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
    await fileSystem.rename(temporary, path)
  } catch (error) {
    await removeQuietly(fileSystem, temporary)
    throw error
  }
  await fileSystem.syncDirectory(dirname(path))
}

/** The file is of no use any more; why it was given up matters more than why it cannot be removed. */
async function removeQuietly(fileSystem: JobContext["fileSystem"], path: string): Promise<void> {
  try {
    await fileSystem.remove(path)
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
  }
}

/** A stretch of a pack that is a stretch of the run. */
interface Range {
  readonly key: string
  readonly offset: number
  readonly bytes: number
}

async function writeChunks(objectStore: ObjectStore, recipe: Recipe, file: File): Promise<void> {
  const check = new ChunkCheck(recipe)
  const ranges = rangesOf(recipe)
  const inFlight: { range: Range; bytes: Promise<Uint8Array> }[] = []
  let fileOffset = 0
  try {
    for (;;) {
      while (inFlight.length < RANGES_IN_FLIGHT) {
        const { value: range } = ranges.next()
        if (range === undefined) break
        inFlight.push({ range, bytes: readRange(objectStore, range) })
      }
      const next = inFlight[0]
      if (next === undefined) break
      const source = await next.bytes
      check.push(source)
      await file.write(source, fileOffset)
      fileOffset += source.length
      inFlight.shift()
    }
  } finally {
    // After a failure the others are on their way still; what becomes of them does not matter.
    await Promise.allSettled(inFlight.map(({ bytes }) => bytes))
  }
}

async function readRange(objectStore: ObjectStore, { key, offset, bytes }: Range): Promise<Uint8Array> {
  const source = await objectStore.get(key, { offset, bytes })
  if (source === undefined) throw damaged(key, "it is missing")
  if (source.length !== bytes) throw damaged(key, `it ends before byte ${offset + bytes}`)
  return source
}

/** The ranges that make up the run, in order: neighbours joined, long ones cut. */
function* rangesOf({ packs, chunks }: Recipe): Generator<Range, undefined> {
  let offset = 0
  let end = 0
  let pack = -1
  for (let i = 0; i < chunks.count; i++) {
    const isNeighbour = chunks.packs[i] === pack && chunks.offsets[i] === end
    if (!isNeighbour) {
      if (end > offset) yield { key: packKey(packs[pack]!), offset, bytes: end - offset }
      pack = chunks.packs[i]!
      offset = chunks.offsets[i]!
      end = offset
    }
    end += chunks.lengths[i]!
    for (; end - offset >= RANGE_BYTES; offset += RANGE_BYTES) {
      yield { key: packKey(packs[pack]!), offset, bytes: RANGE_BYTES }
    }
  }
  if (end > offset) yield { key: packKey(packs[pack]!), offset, bytes: end - offset }
}

/** Compares the bytes of a run, as they come, with the hashes of its chunks. */
class ChunkCheck {
  readonly #recipe: Recipe
  #chunk = 0
  #chunkBytes = 0
  #hash = createHash("sha256")

  constructor(recipe: Recipe) {
    this.#recipe = recipe
  }

  /** @throws EngineError `DATA_LOSS` when a chunk that ends in `source` is not what the recipe says. */
  push(source: Uint8Array): void {
    const { chunks } = this.#recipe
    for (let at = 0; at < source.length; ) {
      const length = chunks.lengths[this.#chunk]!
      const end = Math.min(source.length, at + length - this.#chunkBytes)
      this.#hash.update(source.subarray(at, end))
      this.#chunkBytes += end - at
      at = end
      if (this.#chunkBytes === length) this.#finishChunk()
    }
  }

  #finishChunk(): void {
    const { packs, chunks } = this.#recipe
    const wanted = chunkHash(chunks, this.#chunk)
    if (Buffer.compare(this.#hash.digest(), wanted) !== 0) {
      const key = packKey(packs[chunks.packs[this.#chunk]!]!)
      const hash = hexOf(wanted, 0, wanted.length)
      throw damaged(key, `the chunk at byte ${chunks.offsets[this.#chunk]} does not have the hash ${hash}`)
    }
    this.#chunk++
    this.#chunkBytes = 0
    this.#hash = createHash("sha256")
  }
}
