// The data directory, made and locked. Why it cannot be had is said for the operator, with what to do.

import { EngineError, isEngineError } from "@varve/engines"
import type { DirectoryLock, FileSystem } from "@varve/engines/internal"
import { SettingsError } from "../config/settings.ts"

const OTHER = "give another directory (--data-dir DIR)"

/** What the system says of a directory that can be none, or not for this user: no other start has more luck. */
const refusals: Readonly<Record<string, string>> = {
  EEXIST: "is no directory",
  ENOTDIR: "is below something that is no directory",
  ENOENT: "cannot be made",
  EACCES: "may not be made or written by this user",
  EPERM: "may not be made or written by this user",
  EROFS: "is on a file system that cannot be written",
  ENAMETOOLONG: "is too long a name",
  ELOOP: "goes by links in a circle",
}

/**
 * Makes the directory, unless it is there, and takes its lock.
 * @throws (rejects) SettingsError when the directory can be none; EngineError `DIRECTORY_LOCKED`, `STORAGE_FULL`, `STORAGE_FAILED`
 */
export async function takeDataDirectory(
  fileSystem: Pick<FileSystem, "makeDirectory" | "lock">,
  directory: string,
): Promise<DirectoryLock> {
  try {
    await fileSystem.makeDirectory(directory)
    return await fileSystem.lock(directory)
  } catch (error) {
    throw refusal(directory, error)
  }
}

function refusal(directory: string, error: unknown): unknown {
  if (!isEngineError(error)) return error
  if (error.reason === "DIRECTORY_LOCKED") {
    const message = `${error.message}: stop that process, or ${OTHER}`
    return new EngineError(error.reason, message, { cause: error })
  }
  const { cause } = error
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
  const words = refusals[code]
  if (words === undefined) return error
  const message = `dataDir: ${directory} ${words}: ${OTHER}; the system says ${code}`
  return new SettingsError(message, { cause: error })
}
