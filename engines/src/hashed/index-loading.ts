// The index of a state that is served already, while the records of its runs come into it: newest runs first, a page in
// each turn of the event loop.
//
//   index     ┌ written since, always right ┐┌ loaded: the newest of its hash ┐ ┌ no entry: in a run that is missing? ┐
//   runs      newest ████████████████▌░░░░░░░░░░░░░░░░░░░ oldest                run-searches.ts finds it, or no record
//                    loaded          missing
//
// Addresses tell where an entry comes from: those of the log were written since the state was opened, for merges, which
// would give them others, wait until all is loaded.
//
// When a record is met whose hash has been written since, nearly always its key was overwritten. It is displaced, as it
// would have been by the write, had it been in the index: the comparison behind the writers says whose it is. Two cases
// are told at once, by reading keys, for the order of what is displaced is the order in which it was written: other
// records of this hash wait to be compared, or its keys are known to be several.

import { copyBytes, equalBytes } from "../base/bytes.ts"
import type { Clock } from "../io/clock.ts"
import { addressOf, tombstonePlace } from "../runs/address.ts"
import { BackgroundLoad } from "../runs/background-load.ts"
import { hashName } from "../runs/collision-table.ts"
import { HashIndex } from "../runs/hash-index.ts"
import type { HashPage } from "../runs/hash-page.ts"
import { RunSearches } from "../runs/run-searches.ts"
import { RUN_ADDRESS_BASE } from "../runs/run-set.ts"
import type { ColdRecord } from "./cold-reads.ts"
import type { DisplacedCheck } from "./displaced-check.ts"
import { type LoadedIndex, type MissingRun, PageLoader } from "./load-index.ts"

export interface IndexLoadingParts {
  readonly loaded: LoadedIndex
  readonly clock: Pick<Clock, "nextTurn" | "sleep">
  /** A copy of the key of the record at a place, which must be readable. */
  readonly readKey: (place: number) => Uint8Array | Promise<Uint8Array>
  readonly displaced: Pick<DisplacedCheck, "settled" | "pressure">
  /** Called for tombstones that came to the index. */
  readonly tombstonesCame: (count: number) => void
  /** Called in the turn in which all is loaded. */
  readonly ended: () => void
  /** Hears that the rest cannot be loaded. */
  readonly fail: (error: unknown) => void
}

export class IndexLoading {
  readonly #parts: IndexLoadingParts
  readonly #searches: RunSearches
  /** Hashes written since that were met: older records of the same key follow in older runs. */
  readonly #met = new HashIndex()
  readonly #loader: PageLoader
  #recordsLeft: number
  #runsLoaded = 0
  #isLoaded = false
  readonly #load: BackgroundLoad
  readonly #release: () => void

  /** Holds the runs until all is loaded, or it is closed. */
  constructor(parts: IndexLoadingParts) {
    this.#parts = parts
    const { index, shared, missing } = parts.loaded
    this.#loader = new PageLoader(index, shared)
    this.#searches = new RunSearches(missing.map(({ run }) => run))
    this.#recordsLeft = recordsOf(missing)
    this.#release = this.#searches.hold()
    const { clock, fail } = parts
    this.#load = new BackgroundLoad({ clock, fail, load: () => this.#loadRuns() })
  }

  /** Records that were not looked at yet. */
  get recordsLeft(): number {
    return this.#recordsLeft
  }

  /**
   * Resolves when all is loaded.
   * @throws (rejects) EngineError `DATA_LOSS`; `STORAGE_FAILED`, `STORAGE_FULL` and `REPOSITORY_FAILED`, after which it
   * is tried again; `ENGINE_CLOSED`
   */
  loaded(): Promise<void> {
    return this.#load.loaded()
  }

  /**
   * The value of a key that the index does not have: of the first of the `newer` records that has this key, else of the
   * newest one in the runs as they were when the state was opened. The key is not the caller's any more.
   */
  async value(
    key: Uint8Array,
    h1: number,
    h2: number,
    newer: readonly (ColdRecord | Promise<ColdRecord>)[],
  ): Promise<Uint8Array | undefined> {
    // The runs may be merged away when all is loaded.
    const release = this.#searches.hold()
    try {
      for (const record of await Promise.all(newer)) {
        if (Buffer.compare(record.key, key) !== 0) continue
        return record.value.length === 0 ? undefined : record.value
      }
      const found = await this.#searches.newest(h1, h2)
      if (found === undefined || found.isTombstone) return undefined
      return await found.run.withRecord(found.offset, (bytes, { keyStart, keyEnd, valueStart, end }) =>
        keyEnd - keyStart === key.length && equalBytes(bytes, keyStart, key, 0, key.length)
          ? copyBytes(bytes, valueStart, end)
          : undefined,
      )
    } finally {
      release()
    }
  }

  /**
   * Hashes of records that were not looked at yet, under which something was written since: keys that nobody has compared
   * may share them. Asks nothing of the repository: hash sections are here.
   * @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED`
   */
  async unmetHashes(): Promise<string[]> {
    const { loaded, clock } = this.#parts
    const names = new Set<string>()
    const release = this.#searches.hold()
    try {
      for (const { run } of loaded.missing.slice(this.#runsLoaded)) {
        for await (const { count, h1, h2 } of run.hashes()) {
          for (let i = 0; i < count; i++) {
            const place = loaded.index.get(h1[i]!, h2[i]!)
            if (place >= 0 && addressOf(place) < RUN_ADDRESS_BASE) names.add(hashName(h1[i]!, h2[i]!))
          }
          await clock.nextTurn()
        }
      }
      return [...names]
    } finally {
      release()
    }
  }

  /** Stops loading; answers that are searched for still come. */
  async close(): Promise<void> {
    await this.#load.close()
    await this.#searches.idle()
    if (!this.#isLoaded) this.#release()
  }

  /** Begins with the run that was not loaded whole: what has come of it is met again, and nothing happens. */
  async #loadRuns(): Promise<void> {
    const { missing } = this.#parts.loaded
    for (; this.#runsLoaded < missing.length; this.#runsLoaded++) {
      await this.#loadRun(missing[this.#runsLoaded]!)
    }
    this.#isLoaded = true
    this.#parts.ended()
    this.#release()
  }

  async #loadRun({ run, base }: MissingRun): Promise<void> {
    const { clock, displaced, tombstonesCame, loaded } = this.#parts
    const recordsBehind = recordsOf(loaded.missing.slice(this.#runsLoaded))
    for await (const page of run.hashes()) {
      this.#load.checkOpen()
      const tombstones = this.#loader.load(page, base)
      if (tombstones > 0) tombstonesCame(tombstones)
      if (this.#loader.met > 0) await this.#meet(page, base)
      this.#recordsLeft = recordsBehind - page.first - page.count
      await displaced.pressure()
      await this.#searches.giveWay()
      await clock.nextTurn()
    }
  }

  /** Records of the page whose hash the index had. Those that were loaded before are newer ones of the same keys. */
  async #meet(page: HashPage, base: number): Promise<void> {
    const { index, collisions } = this.#parts.loaded
    const { met, metAt } = this.#loader
    const unclear: { h1: number; h2: number; place: number }[] = []
    for (let each = 0; each < met; each++) {
      const i = metAt[each]!
      const h1 = page.h1[i]!
      const h2 = page.h2[i]!
      const isWrittenSince = addressOf(index.get(h1, h2)) < RUN_ADDRESS_BASE
      if (!isWrittenSince || this.#met.get(h1, h2) >= 0) continue
      const address = base + page.offset[i]!
      const place = page.tombstone[i] === 1 ? tombstonePlace(address) : address
      if (collisions.isOrdinary(h1, h2)) {
        collisions.displace(h1, h2, place)
        this.#met.set(h1, h2, 0)
      } else unclear.push({ h1, h2, place })
    }
    for (const { h1, h2, place } of unclear) {
      await this.#tell(h1, h2, place)
      this.#met.set(h1, h2, 0)
    }
  }

  /** Whose record it is, of several keys that share the hash: it counts if nothing newer is known of its key. */
  async #tell(h1: number, h2: number, place: number): Promise<void> {
    while (!(await this.#isTold(h1, h2, place))) this.#load.checkOpen()
  }

  /** False when more was written meanwhile. */
  async #isTold(h1: number, h2: number, place: number): Promise<boolean> {
    const { loaded, readKey, displaced } = this.#parts
    const { index, collisions } = loaded
    await displaced.settled()
    const key = await readKey(place)
    const newest = index.get(h1, h2)
    const newestKey = await readKey(newest)
    if (index.get(h1, h2) !== newest || collisions.candidates(h1, h2).length > 0) return false
    if (collisions.get(key) < 0 && Buffer.compare(newestKey, key) !== 0) collisions.set(key, h1, h2, place)
    return true
  }
}

function recordsOf(runs: readonly MissingRun[]): number {
  return runs.reduce((count, { run }) => count + run.figures.recordCount, 0)
}
