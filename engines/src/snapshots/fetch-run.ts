// A job for another thread: puts a run together again from its chunks.
//
//   recipe ──► fill-run: ranges of packs, each chunk hashed ──► <path>.tmp
//          ──► all hashes right: sync, rename to <path>, sync the directory
//
// No byte is under the final name before it is proven.

import { dirname } from "node:path"
import { EngineError } from "../base/error.ts"
import { defineJob, type JobContext } from "../io/executor.ts"
import type { File } from "../io/file-system.ts"
import { TEMPORARY_SUFFIX } from "../runs/run-writer.ts"
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
    await writeFile(context, path, async (file) => {
      const all = new RunChunks({ packs, chunks, start: 0 })
      const isSkipped = new Uint8Array(all.count)
      const { damage } = await fillChunks(objectStore, all, file, { isSkipped, isResumed: false })
      if (damage[0] !== undefined) throw new EngineError("DATA_LOSS", damage[0])
    })
  },
)

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
