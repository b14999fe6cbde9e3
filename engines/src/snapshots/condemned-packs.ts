// Packs that nothing new may rely on: those that garbage collection is going to remove, or has removed, and those that
// turned out to be damaged or gone. What a writer has to know of collections:
//
//   collection    finds a pack that no manifest needs -> condemns it -> … grace … -> looks again -> removes it
//   writer        reads what is condemned -> relies on none of it -> commits
//
// A pack goes only after it was condemned for a period of grace, at least two TRUST_MS, and when no manifest that is
// there then needs it. A writer whose last reading is younger than TRUST_MS has either seen the mark, or commits before
// the pack may go, and its manifest is seen. What a writer knew before a longer gap it looks up again.
//
// Chunks of a pack that was rewritten are in another one, to which a note leads: a run relies on all packs and notes on
// the way, and each of them goes under a mark and a period of grace of its own. (Two-step fossil collection: G. Chen,
// Duplicacy, 2017.)

import { isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { ObjectStore } from "../io/object-store.ts"
import { ElapsedTime } from "./elapsed-time.ts"
import { type StoredRun, storedRunName } from "./manifest.ts"
import { HOPS_MAX, type MovedPack, movedRange, type PackRange, readMovedPack } from "./moved-pack.ts"
import { readRecipe } from "./read-recipe.ts"
import {
  CONDEMNED_PREFIX,
  MOVED_PREFIX,
  PACKS_PREFIX,
  parseCondemnedKey,
  parseCondemnedNoteKey,
  parseMovedKey,
  parsePackKey,
} from "./repository-keys.ts"
import type { StoredRuns } from "./stored-runs.ts"

/** How long a writer goes by what it has read. */
export const TRUST_MS = 6 * 60 * 60 * 1000
/** How old a reading becomes before another one is made: one listing of a short prefix, two while packs are condemned. */
const REFRESH_MS = 10 * 60 * 1000
/** Runs of which it is remembered when they were found whole. */
const CHECKED_MAX = 100_000

/** `going`: garbage collection is about to remove something that the run needs. `damaged`: that is damaged. */
type Fate = "stays" | "going" | "damaged"

/** Ids of runs. */
export type EndangeredRuns = Readonly<Record<Exclude<Fate, "stays">, ReadonlySet<string>>>

/** One for each repository that is written to. Methods reject with EngineError `REPOSITORY_FAILED`. */
export class CondemnedPacks {
  readonly #objectStore: ObjectStore
  readonly #elapsed: ElapsedTime
  readonly #storedRuns: Pick<StoredRuns, "find">
  /** As read last, and all that ever were seen there or missed. */
  #condemned: ReadonlySet<string> = new Set()
  #condemnedNotes: ReadonlySet<string> = new Set()
  /** Packs that have notes; read while something is condemned. */
  #moved: ReadonlySet<string> = new Set()
  readonly #avoided = new Set<string>()
  /** Packs that turned out to be damaged. */
  readonly #distrusted = new Set<string>()
  /** When each run was last known to be whole, in the order of that. */
  readonly #checkedMs = new Map<string, number>()
  #readMs = Number.NEGATIVE_INFINITY

  constructor(
    objectStore: ObjectStore,
    clock: Pick<Clock, "nowMs" | "monotonicMs">,
    storedRuns: Pick<StoredRuns, "find">,
  ) {
    this.#objectStore = objectStore
    this.#elapsed = new ElapsedTime(clock)
    this.#storedRuns = storedRuns
  }

  /** Whether no new run may rely on the pack. */
  isAvoided(pack: string): boolean {
    return this.#avoided.has(pack)
  }

  /**
   * Reads what is condemned when the last reading is too old. After a gap in which packs may have come and gone, those
   * of `known` that are not there any more are avoided too. @returns the time of the reading, for `stored`
   */
  async refresh(known: ReadonlySet<string>): Promise<number> {
    const now = this.#elapsed.ms()
    if (now - this.#readMs < REFRESH_MS) return this.#readMs
    const hasGap = now - this.#readMs > TRUST_MS
    const objects = await this.#objectStore.list(CONDEMNED_PREFIX)
    const notes = objects.length === 0 ? [] : await this.#objectStore.list(MOVED_PREFIX)
    this.#condemned = new Set(objects.flatMap(({ key }) => parseCondemnedKey(key) ?? []))
    this.#condemnedNotes = new Set(objects.flatMap(({ key }) => parseCondemnedNoteKey(key) ?? []))
    this.#moved = new Set(notes.flatMap(({ key }) => parseMovedKey(key) ?? []))
    for (const pack of this.#condemned) this.#avoided.add(pack)
    if (hasGap && known.size > 0) {
      const packs = await this.#objectStore.list(PACKS_PREFIX)
      const present = new Set(packs.flatMap(({ key }) => parsePackKey(key) ?? []))
      for (const pack of known) if (!present.has(pack)) this.#avoided.add(pack)
    }
    this.#readMs = now
    return now
  }

  /** These packs turned out to be damaged, or are missing: what relies on them is looked at again. */
  distrust(packs: readonly string[]): void {
    for (const pack of packs) {
      this.#distrusted.add(pack)
      this.#avoided.add(pack)
    }
    if (packs.length > 0) this.#checkedMs.clear()
  }

  /** Runs that were stored since the reading of `readMs`, relying on nothing that was avoided then. */
  stored(runs: readonly StoredRun[], readMs: number): void {
    for (const run of runs) this.#remember(run, readMs)
  }

  /** Of these runs, as the repository has them, those that the next manifest may not rely on; see `Repository`. */
  async endangered(runs: readonly StoredRun[]): Promise<EndangeredRuns> {
    const endangered = { going: new Set<string>(), damaged: new Set<string>() }
    const readMs = this.#readMs
    for (const run of runs) {
      if (this.#checkedMs.get(storedRunName(run)) === readMs) continue
      const fate = (await this.#isWhole(run)) ? await this.#fateOf(run) : "going"
      if (fate === "stays") this.#remember(run, readMs)
      else endangered[fate].add(run.id)
    }
    return endangered
  }

  /** Whether all packs are there; asked of the repository only when a gap lies behind. */
  async #isWhole(run: StoredRun): Promise<boolean> {
    const checkedMs = this.#checkedMs.get(storedRunName(run)) ?? Number.NEGATIVE_INFINITY
    if (this.#readMs - checkedMs <= TRUST_MS) return true
    try {
      await this.#storedRuns.find([run])
      return true
    } catch (error) {
      if (isEngineError(error, "DATA_LOSS")) return false
      throw error
    }
  }

  /** What becomes of the packs and notes on the way to the run's chunks. */
  async #fateOf(run: StoredRun): Promise<Fate> {
    if (this.#condemned.size + this.#condemnedNotes.size + this.#distrusted.size === 0) return "stays"
    const { packs, chunks } = await readRecipe(this.#objectStore, run)
    const { pack, offset, bytes } = run.recipe
    const ranges = [{ pack, offset, bytes }]
    for (let i = 0; i < chunks.count; i++) {
      ranges.push({ pack: packs[chunks.packs[i]!]!, offset: chunks.offsets[i]!, bytes: chunks.lengths[i]! })
    }
    const notes = new Map<string, MovedPack | undefined>()
    let fate: Fate = "stays"
    for (const range of ranges) {
      const each = await this.#fateOfRange(range, notes)
      if (each === "going") return each
      if (each === "damaged") fate = each
    }
    return fate
  }

  /** @param notes those that were read */
  async #fateOfRange(range: PackRange, notes: Map<string, MovedPack | undefined>): Promise<Fate> {
    let at = range
    let isDamaged = false
    for (let hop = 0; hop <= HOPS_MAX; hop++) {
      const { pack } = at
      if (this.#condemnedNotes.has(pack)) return "going"
      isDamaged ||= this.#distrusted.has(pack)
      const isCondemned = this.#condemned.has(pack)
      if (!isCondemned && !this.#moved.has(pack)) return isDamaged ? "damaged" : "stays"
      if (!notes.has(pack)) notes.set(pack, await readMovedPack(this.#objectStore, pack))
      const note = notes.get(pack)
      const target = note === undefined ? undefined : movedRange(note, at)
      if (target === undefined) return isCondemned ? "going" : isDamaged ? "damaged" : "stays"
      at = target
    }
    return "going"
  }

  #remember(run: StoredRun, readMs: number): void {
    const name = storedRunName(run)
    this.#checkedMs.delete(name)
    this.#checkedMs.set(name, readMs)
    const [oldest] = this.#checkedMs.keys()
    if (this.#checkedMs.size > CHECKED_MAX && oldest !== undefined) this.#checkedMs.delete(oldest)
  }
}
