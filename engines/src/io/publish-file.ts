// A file that is there whole or not at all: written under a temporary name, synced, renamed, its directory synced.

import { dirname } from "node:path"
import { EngineError } from "../base/error.ts"
import type { File, FileSystem } from "./file-system.ts"

/** What is left of files that were not published; who opens the directory removes it. */
export const TEMPORARY_SUFFIX = ".tmp"

/**
 * Publishes what `write` puts into an empty file at `path`, in the place of what is there; durable when it resolves. When
 * it fails, `path` is as it was, unless only the last sync failed.
 * @throws (rejects) EngineError `STORAGE_FULL`, `STORAGE_FAILED`, and what `write` rejects with
 */
export async function publishFile(
  fileSystem: FileSystem,
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

/** Why the file was given up matters more than why it cannot be removed. */
async function removeQuietly(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.remove(path)
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
  }
}
