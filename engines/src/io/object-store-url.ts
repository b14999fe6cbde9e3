// Where a repository is, written as a URL: `file:/absolute/directory` or `s3://bucket/prefix?…` (`s3/location.ts`).

import { isAbsolute } from "node:path"
import { EngineError } from "../base/error.ts"
import { DirectoryObjectStore } from "./directory-object-store.ts"
import type { JobContext } from "./executor.ts"
import { measuredObjectStore } from "./measured-object-store.ts"
import type { ObjectStore } from "./object-store.ts"
import { proveObjectStore } from "./prove-object-store.ts"
import type { RequestFigures } from "./request-figures.ts"
import { S3ObjectStore } from "./s3/s3-object-store.ts"

/** What stores reach. */
export interface StoreSeams extends Pick<JobContext, "fileSystem" | "clock" | "random"> {
  /** Where the requests are counted; nowhere when absent. */
  readonly requests?: RequestFigures
}

const SCHEME = /^([a-z][a-z0-9+.-]*):(.*)$/is

/**
 * Opens the object store at `url`. A path behind `file:` is taken as it stands, without percent decoding, and
 * must be absolute; `file:///path` is the same as `file:/path`.
 * @throws (rejects) EngineError `REPOSITORY_URL_INVALID`, `REPOSITORY_FAILED`
 */
export async function openObjectStore(url: string, seams: StoreSeams): Promise<ObjectStore> {
  return measured(await openBare(url, seams), seams)
}

async function openBare(url: string, seams: StoreSeams): Promise<ObjectStore> {
  const match = SCHEME.exec(url)
  if (match === null) throw invalid(url, "it has no scheme; write file:/absolute/directory")
  const scheme = match[1]!.toLowerCase()
  if (scheme === "s3") return S3ObjectStore.open(url, seams)
  if (scheme !== "file")
    throw invalid(
      url,
      `the scheme ${scheme}: is not known; write file:/absolute/directory or s3://bucket/prefix`,
    )
  return DirectoryObjectStore.open(seams.fileSystem, directoryOf(url, match[2]!))
}

/**
 * Opens the object store at `url` for a repository that is written to: a bucket with several writers has to prove
 * that it keeps conditions. A directory does; and where the URL says `writers=one`, nobody relies on them.
 * @throws (rejects) as `openObjectStore`; EngineError `REPOSITORY_FAILED` when the store ignores conditions
 */
export async function openProvenObjectStore(url: string, seams: StoreSeams): Promise<ObjectStore> {
  const store = await openBare(url, seams)
  if (!(store instanceof S3ObjectStore) || store.writers === "one") return measured(store, seams)
  try {
    await proveObjectStore(store, seams.random)
    return measured(store, seams)
  } catch (error) {
    await store.close()
    throw error
  }
}

function measured(store: ObjectStore, { requests, clock }: StoreSeams): ObjectStore {
  return requests === undefined ? store : measuredObjectStore(store, requests, clock)
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
