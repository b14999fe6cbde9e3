// Work on a repository without a daemon, on a thread that is given back afterwards. Loaded only by commands that need it:
// the engines take half of the start-up time.

import { isEngineError } from "@varve/engines"
import {
  type CollectionOptions,
  type CollectionResult,
  collectGarbage,
  GRACE_MS_MIN,
  type Job,
  type ObjectStore,
  openObjectStore,
  REPOSITORY_KEY,
  type Reasons,
  systemSeams,
  ThreadExecutor,
  whyKept,
} from "@varve/engines/internal"
import { formatDuration } from "../config/duration.ts"
import { absoluteRepository, faultOfRepository } from "../config/repository-url.ts"
import { OfflineError, UsageError } from "./exit-codes.ts"

/** Collects garbage in the repository at `url`. @throws (rejects) UsageError, VarveError as `collectGarbage` */
export async function collectIn(
  url: string,
  options: Omit<CollectionOptions, "url">,
): Promise<CollectionResult> {
  const { graceMs = GRACE_MS_MIN, exclusive = false } = options
  if (graceMs < GRACE_MS_MIN && !exclusive) {
    const least = formatDuration(GRACE_MS_MIN)
    throw new UsageError(
      `--grace ${formatDuration(graceMs)}: ${least} or more; with --exclusive, when no daemon uses the repository, any will do`,
    )
  }
  return await run(collectGarbage, { ...options, url: repositoryUrl(url) })
}

/** Who keeps `name` in the repository at `url`. @throws (rejects) UsageError, VarveError as `whyKept` */
export function whyKeptIn(url: string, name: string): Promise<Reasons> {
  return run(whyKept, { url: repositoryUrl(url), name })
}

/** The URL of `--repository` as engines take it. @throws UsageError */
export function repositoryUrl(url: string): string {
  const fault = faultOfRepository(url)
  if (fault !== undefined)
    throw new UsageError(`--repository: ${fault}; allowed: file:DIR or s3://BUCKET/PREFIX`)
  return absoluteRepository(url, process.cwd())
}

/** @throws (rejects) UsageError when there is no repository: opening one that is not there would make it */
export async function requireRepository(objectStore: ObjectStore): Promise<void> {
  if ((await objectStore.get(REPOSITORY_KEY, { offset: 0, bytes: 1 })) !== undefined) return
  throw new UsageError(`--repository: there is no repository at ${objectStore.url}`)
}

async function run<Input extends { url: string }, Output>(
  job: Job<Input, Output>,
  input: Input,
): Promise<Output> {
  const executor = new ThreadExecutor({ threads: 1 })
  try {
    await requireRepositoryAt(input.url)
    return await executor.run(job, input)
  } catch (error) {
    if (isEngineError(error)) throw new OfflineError(error)
    throw error
  } finally {
    await executor.close()
  }
}

async function requireRepositoryAt(url: string): Promise<void> {
  const seams = systemSeams({ threads: 1 })
  try {
    const objectStore = await openObjectStore(url, seams)
    try {
      await requireRepository(objectStore)
    } finally {
      await objectStore.close()
    }
  } finally {
    await seams.close()
  }
}
