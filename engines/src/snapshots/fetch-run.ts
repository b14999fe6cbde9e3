// A job for another thread: puts a run together again from its chunks.
//
//   recipe ──► fill-run: ranges of packs, each chunk hashed ──► <path>.tmp
//          ──► all hashes right: sync, rename to <path>, sync the directory
//
// No byte is under the final name before it is proven.

import { EngineError } from "../base/error.ts"
import { defineJob } from "../io/executor.ts"
import { publishFile } from "../io/publish-file.ts"
import { fillChunks } from "./fill-run.ts"
import type { StoredRun } from "./manifest.ts"
import { readRecipe } from "./read-recipe.ts"
import { RunChunks } from "./run-chunks.ts"

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
    const { packs, chunks } = await readRecipe(objectStore, run)
    await publishFile(context.fileSystem, path, async (file) => {
      const all = new RunChunks({ packs, chunks, start: 0 })
      const isSkipped = new Uint8Array(all.count)
      const { damage } = await fillChunks(objectStore, all, file, { isSkipped, isResumed: false })
      if (damage[0] !== undefined) throw new EngineError("DATA_LOSS", damage[0])
    })
  },
)
