// Questions for records that no index has yet, answered from the hash sections of runs. All that is asked while a search
// runs waits for the next one: many questions take no longer than one.
//
//   asked     a b c │ d e … │ f          a search reads all hash sections
//   searches  [a b c][d e …   ][f]       what is loaded meanwhile lets them go first, and comes to its end all the same

import type { OpenRun } from "./open-run.ts"
import { type FoundHash, hashNumber, searchHashes } from "./search-hashes.ts"

/** While answers are searched for nothing is loaded, but so many slices in between: the load comes to its end. */
const SLICES_BETWEEN_SEARCHES = 16

interface Wanted {
  readonly resolve: (found: FoundHash | undefined) => void
  readonly reject: (error: unknown) => void
}

export class RunSearches {
  readonly #runs: readonly OpenRun[]
  #wanted = new Map<number, Wanted[]>()
  /** Until nobody waits for an answer; and the present search through all runs. They never reject. */
  #searching: Promise<void> | undefined
  #pass: Promise<void> | undefined
  #slicesSincePass = SLICES_BETWEEN_SEARCHES

  /** @param runs newest first; held by the caller whenever something is asked, as by `hold` */
  constructor(runs: readonly OpenRun[]) {
    this.#runs = runs
  }

  /** Holds all runs. @returns what gives them up again; to be called once */
  hold(): () => void {
    for (const run of this.#runs) run.retain()
    return () => {
      for (const run of this.#runs) run.release()
    }
  }

  /**
   * The newest record with this hash; undefined when there is none.
   * @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED`, `REPOSITORY_FAILED`
   */
  newest(h1: number, h2: number): Promise<FoundHash | undefined> {
    const hash = hashNumber(h1, h2)
    const waiting = this.#wanted.get(hash) ?? []
    this.#wanted.set(hash, waiting)
    const found = new Promise<FoundHash | undefined>((resolve, reject) => waiting.push({ resolve, reject }))
    this.#searching ??= this.#search()
    return found
  }

  /**
   * All records with this hash, newest first; in a search of its own, for hashes that several keys share.
   * @throws as `newest`
   */
  all(h1: number, h2: number): Promise<FoundHash[]> {
    return searchHashes(this.#runs, new Set([hashNumber(h1, h2)]))
  }

  /** Between two slices of a load: waits for the search that runs, unless it has waited a little while ago. */
  async giveWay(): Promise<void> {
    if (this.#slicesSincePass++ < SLICES_BETWEEN_SEARCHES || this.#pass === undefined) return
    this.#slicesSincePass = 0
    await this.#pass
  }

  /** Resolves when all that was asked is answered. */
  async idle(): Promise<void> {
    await this.#searching
  }

  /** Never rejects. Hashes that are asked for while a search runs wait for the next one. */
  async #search(): Promise<void> {
    const release = this.hold()
    // All that one turn asks for is searched for together.
    await Promise.resolve()
    while (this.#wanted.size > 0) {
      const wanted = this.#wanted
      this.#wanted = new Map()
      this.#pass = this.#searchFor(wanted)
      await this.#pass
    }
    this.#pass = undefined
    this.#searching = undefined
    release()
  }

  async #searchFor(wanted: Map<number, Wanted[]>): Promise<void> {
    try {
      await searchHashes(this.#runs, new Set(wanted.keys()), (found) => {
        for (const each of found) answer(wanted, each)
        return wanted.size === 0
      })
      for (const waiting of wanted.values()) for (const { resolve } of waiting) resolve(undefined)
    } catch (error) {
      for (const waiting of wanted.values()) for (const { reject } of waiting) reject(error)
    }
  }
}

/** Of several records with a hash the first counts. */
function answer(wanted: Map<number, Wanted[]>, found: FoundHash): void {
  const hash = hashNumber(found.h1, found.h2)
  for (const { resolve } of wanted.get(hash) ?? []) resolve(found)
  wanted.delete(hash)
}
