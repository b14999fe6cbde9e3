// Packs that garbage collection is going to remove, or has removed: what a writer has to know of it.
//
//   collection    finds a pack that no manifest needs -> condemns it -> … grace … -> looks again -> removes it
//   writer        reads what is condemned -> relies on none of it -> commits
//
// A pack goes only after it was condemned for a period of grace, at least two TRUST_MS, and when no manifest that is
// there then needs it. A writer whose last reading is younger than TRUST_MS has either seen the mark, or commits before
// the pack may go, and its manifest is seen. What a writer knew before a longer gap it looks up again. (Two-step
// fossil collection: G. Chen, Duplicacy, 2017.)

import { isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { ObjectStore } from "../io/object-store.ts"
import type { StoredRun } from "./manifest.ts"
import { movedRange, readMovedPack } from "./moved-pack.ts"
import { readRecipe } from "./read-recipe.ts"
import { CONDEMNED_PREFIX, PACKS_PREFIX, parseCondemnedKey, parsePackKey } from "./repository-keys.ts"
import type { StoredRuns } from "./stored-runs.ts"

/** How long a writer goes by what it has read. */
export const TRUST_MS = 6 * 60 * 60 * 1000
/** How old a reading becomes before another one is made: one listing of a short prefix. */
const REFRESH_MS = 10 * 60 * 1000
/** Runs of which it is remembered when they were found whole. */
const CHECKED_MAX = 100_000

/** One for each repository that is written to. Methods reject with EngineError `REPOSITORY_FAILED`. */
export class CondemnedPacks {
  readonly #objectStore: ObjectStore
  readonly #clock: Pick<Clock, "monotonicMs">
  readonly #storedRuns: Pick<StoredRuns, "find">
  /** As read last, and all that ever were seen there or missed. */
  #condemned: ReadonlySet<string> = new Set()
  readonly #avoided = new Set<string>()
  /** When each run was last known to be whole, in the order of that. */
  readonly #checkedMs = new Map<string, number>()
  #readMs = Number.NEGATIVE_INFINITY

  constructor(
    objectStore: ObjectStore,
    clock: Pick<Clock, "monotonicMs">,
    storedRuns: Pick<StoredRuns, "find">,
  ) {
    this.#objectStore = objectStore
    this.#clock = clock
    this.#storedRuns = storedRuns
  }

  /** Whether no new run may rely on the pack. */
  isAvoided(pack: string): boolean {
    return this.#avoided.has(pack)
  }

  /**
   * Reads what is condemned when the last reading is too old. After a gap in which packs may have come and gone, those
   * of `known` that are not there any more are avoided too.
   */
  async refresh(known: Iterable<string>): Promise<void> {
    const now = this.#clock.monotonicMs()
    if (now - this.#readMs < REFRESH_MS) return
    const hasGap = now - this.#readMs > TRUST_MS
    const objects = await this.#objectStore.list(CONDEMNED_PREFIX)
    this.#condemned = new Set(objects.flatMap(({ key }) => parseCondemnedKey(key) ?? []))
    for (const pack of this.#condemned) this.#avoided.add(pack)
    if (hasGap) {
      const packs = await this.#objectStore.list(PACKS_PREFIX)
      const present = new Set(packs.flatMap(({ key }) => parsePackKey(key) ?? []))
      for (const pack of known) if (!present.has(pack)) this.#avoided.add(pack)
    }
    this.#readMs = now
  }

  /** Runs that were stored since the last reading, relying on nothing that is avoided. */
  stored(runs: readonly StoredRun[]): void {
    for (const { id } of runs) this.#remember(id)
  }

  /** Of these runs, as the repository has them, those that the next manifest may not rely on; see `Repository`. */
  async endangered(runs: readonly StoredRun[]): Promise<Set<string>> {
    const endangered = new Set<string>()
    for (const run of runs) {
      if ((await this.#isWhole(run)) && !(await this.#needsCondemned(run))) this.#remember(run.id)
      else endangered.add(run.id)
    }
    return endangered
  }

  /** Whether all packs are there; asked of the repository only when a gap lies behind. */
  async #isWhole(run: StoredRun): Promise<boolean> {
    const checkedMs = this.#checkedMs.get(run.id) ?? Number.NEGATIVE_INFINITY
    if (this.#readMs - checkedMs <= TRUST_MS) return true
    try {
      await this.#storedRuns.find([run])
      return true
    } catch (error) {
      if (isEngineError(error, "DATA_LOSS")) return false
      throw error
    }
  }

  /** Whether the run needs something of a condemned pack that its note does not take along. */
  async #needsCondemned(run: StoredRun): Promise<boolean> {
    if (this.#condemned.size === 0) return false
    const { packs, chunks } = await readRecipe(this.#objectStore, run)
    const { pack, offset, bytes } = run.recipe
    const ranges = [{ pack, offset, bytes }]
    for (let i = 0; i < chunks.count; i++) {
      ranges.push({ pack: packs[chunks.packs[i]!]!, offset: chunks.offsets[i]!, bytes: chunks.lengths[i]! })
    }
    const condemned = new Set(ranges.map((range) => range.pack).filter((id) => this.#condemned.has(id)))
    for (const id of condemned) {
      const moved = await readMovedPack(this.#objectStore, id)
      if (moved === undefined) return true
      const needed = ranges.filter((range) => range.pack === id)
      if (needed.some((range) => movedRange(moved, range) === undefined)) return true
    }
    return false
  }

  #remember(run: string): void {
    this.#checkedMs.delete(run)
    this.#checkedMs.set(run, this.#readMs)
    const [oldest] = this.#checkedMs.keys()
    if (this.#checkedMs.size > CHECKED_MAX && oldest !== undefined) this.#checkedMs.delete(oldest)
  }
}
