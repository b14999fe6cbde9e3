// Where a repository is, written as a URL: `file:/absolute/directory`.

import { isAbsolute } from "node:path"
import { EngineError } from "../base/error.ts"
import { DirectoryObjectStore } from "./directory-object-store.ts"
import type { FileSystem } from "./file-system.ts"
import type { ObjectStore } from "./object-store.ts"

const SCHEME = /^([a-z][a-z0-9+.-]*):(.*)$/is

/**
 * Opens the object store at `url`. A path behind `file:` is taken as it stands, without percent decoding, and
 * must be absolute; `file:///path` is the same as `file:/path`.
 * @throws (rejects) EngineError `REPOSITORY_URL_INVALID`, `REPOSITORY_FAILED`
 */
export async function openObjectStore(url: string, fileSystem: FileSystem): Promise<ObjectStore> {
  const match = SCHEME.exec(url)
  if (match === null) throw invalid(url, "it has no scheme; write file:/absolute/directory")
  const scheme = match[1]!.toLowerCase()
  if (scheme === "s3") throw invalid(url, "s3: repositories are not supported by this version")
  if (scheme !== "file")
    throw invalid(url, `the scheme ${scheme}: is not known; write file:/absolute/directory`)
  return DirectoryObjectStore.open(fileSystem, directoryOf(url, match[2]!))
}

function directoryOf(url: string, rest: string): string {
  const path = rest.startsWith("//") ? rest.slice(2) : rest
  if (path.includes("\0")) throw invalid(url, "a path has no zero bytes")
  if (isAbsolute(path)) return path
  const why = rest.startsWith("//")
    ? "it names a host; write file:/absolute/directory"
    : "the path is relative"
  throw invalid(url, why)
}

function invalid(url: string, why: string): EngineError {
  return new EngineError(
    "REPOSITORY_URL_INVALID",
    `the repository URL ${JSON.stringify(url)} is invalid: ${why}`,
  )
}
