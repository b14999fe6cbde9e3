// One key through many versions. Versions list mostly the same runs: each run is asked once, whatever number of
// versions list it, and closed at once; a value is read once for the versions that have it from the same run.

import { checkKeyBytes } from "../base/record.ts"
import type { Manifest, StoredRun } from "../snapshots/manifest.ts"
import type { Repository } from "../snapshots/repository.ts"
import { findInRun, type RecordPlace, readValue, WantedKeys } from "./find-keys.ts"
import { openListed } from "./run-shelf.ts"

/** What a run has of the key. */
interface FoundValue {
  readonly runId: string
  /** Undefined: a tombstone. */
  readonly value: Uint8Array | undefined
}

export class KeyHistory {
  readonly #repository: Pick<Repository, "storedRuns">
  readonly #key: Uint8Array
  /** By the id of the run. Undefined: the run does not have the key. */
  readonly #places = new Map<string, RecordPlace | undefined>()
  /** What the version asked last has. */
  #last: FoundValue | undefined

  /** @throws EngineError `KEY_EMPTY`, `KEY_TOO_LARGE` */
  constructor(repository: Pick<Repository, "storedRuns">, key: Uint8Array) {
    checkKeyBytes(key.length)
    this.#repository = repository
    this.#key = key
  }

  /**
   * The key's value in a version; undefined when it has none. Ask version after version along a line. One thing at a time.
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`
   */
  async valueIn({ runs, hashSeed }: Manifest): Promise<Uint8Array | undefined> {
    for (const run of runs) {
      const found = await this.#find(run, hashSeed)
      if (found === undefined) continue
      this.#last = found
      return found.value
    }
    this.#last = undefined
    return undefined
  }

  async #find(listed: StoredRun, hashSeed: number): Promise<FoundValue | undefined> {
    if (this.#last?.runId === listed.id) return this.#last
    const isKnown = this.#places.has(listed.id)
    const known = this.#places.get(listed.id)
    if (isKnown && known === undefined) return undefined
    if (known?.isTombstone === true) return { runId: listed.id, value: undefined }
    const run = await openListed(this.#repository, listed)
    try {
      await run.readIndex()
      const place = known ?? (await findInRun(run, new WantedKeys([this.#key], hashSeed))).get(0)
      this.#places.set(listed.id, place)
      if (place === undefined) return undefined
      const value = place.isTombstone ? undefined : await readValue(run, place, this.#key)
      return { runId: listed.id, value }
    } finally {
      await run.close()
    }
  }
}
