// Runs of versions that are open for reading in the repository, each once, however many versions list it. One that was
// stored twice is open twice: its copies may be damaged apart.

import { EngineError } from "../base/error.ts"
import type { RunFile } from "../runs/run-file.ts"
import { type StoredRun, storedRunName } from "../snapshots/manifest.ts"
import type { Repository } from "../snapshots/repository.ts"

/** One thread owns it. What is open takes 1 byte a KiB, and 2 bytes a key of sorted runs that were asked for keys. */
export class RunShelf {
  readonly #repository: Pick<Repository, "storedRuns">
  readonly #runs = new Map<string, Promise<RunFile>>()
  readonly #indexed = new Map<RunFile, Promise<void>>()

  /** @param repository stays the caller's, who closes it after the shelf */
  constructor(repository: Pick<Repository, "storedRuns">) {
    this.#repository = repository
  }

  /** The run, which stays open until the shelf is closed. @throws (rejects) EngineError `DATA_LOSS`, `REPOSITORY_FAILED` */
  open(run: StoredRun): Promise<RunFile> {
    const name = storedRunName(run)
    const known = this.#runs.get(name)
    if (known !== undefined) return known
    const opened = openListed(this.#repository, run)
    this.#runs.set(name, opened)
    return opened
  }

  /** Reads what finds single keys in a run of this shelf, if that has not happened yet. */
  index(run: RunFile): Promise<void> {
    const known = this.#indexed.get(run)
    if (known !== undefined) return known
    const indexed = run.readIndex()
    this.#indexed.set(run, indexed)
    return indexed
  }

  async close(): Promise<void> {
    for (const opened of await Promise.allSettled(this.#runs.values())) {
      if (opened.status === "fulfilled") await opened.value.close()
    }
    this.#runs.clear()
    this.#indexed.clear()
  }
}

/** The run, when it is what its manifest says. The caller closes it. @throws (rejects) as `RunShelf.open` */
export async function openListed(
  repository: Pick<Repository, "storedRuns">,
  listed: StoredRun,
): Promise<RunFile> {
  const run = await repository.storedRuns.open(listed)
  const { figures } = run
  const isListed = (["id", "bytes", "recordsBytes", "recordCount", "tombstoneCount"] as const).every(
    (field) => figures[field] === listed[field],
  )
  if (isListed) return run
  await run.close()
  throw new EngineError("DATA_LOSS", `run ${run.path} is damaged: its figures are not those of its manifest`)
}
