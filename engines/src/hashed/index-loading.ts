// The index of a state that is served already, while the records of its runs come into it: newest runs first, a page in
// each turn of the event loop.
//
//   index     ┌ written since, always right ┐┌ loaded: the newest of its hash ┐ ┌ no entry: in a run that is missing? ┐
//   runs      newest ████████████████▌░░░░░░░░░░░░░░░░░░░ oldest                search-hashes.ts finds it, or no record
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
import { EngineError, isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import { addressOf, tombstonePlace } from "../runs/address.ts"
import { hashName } from "../runs/collision-table.ts"
import { HashIndex } from "../runs/hash-index.ts"
import type { HashPage } from "../runs/hash-page.ts"
import { type OpenRun, RUN_ADDRESS_BASE } from "../runs/run-set.ts"
import type { ColdRecord } from "./cold-reads.ts"
import type { DisplacedCheck } from "./displaced-check.ts"
import { type LoadedIndex, type MissingRun, PageLoader } from "./load-index.ts"
import { type FoundHash, hashNumber, searchHashes } from "./search-hashes.ts"

/** While answers are searched for nothing is loaded, but so many pages in between: the load comes to its end. */
const PAGES_BETWEEN_SEARCHES = 16
/** Whoever has opened the state is done with that, and has asked for something, before the first page is loaded. */
const START_MS = 100
/** How long to wait until a disk that failed, or a repository that was not reached, is asked again. */
const RETRY_MS = 1000

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

interface Wanted {
  readonly resolve: (found: FoundHash | undefined) => void
  readonly reject: (error: unknown) => void
}

export class IndexLoading {
  readonly #parts: IndexLoadingParts
  readonly #runs: readonly OpenRun[]
  /** Hashes written since that were met: older records of the same key follow in older runs. */
  readonly #met = new HashIndex()
  readonly #loader: PageLoader
  #wanted = new Map<number, Wanted[]>()
  /** Until nobody waits for an answer; and the present search through all runs. They never reject. */
  #searching: Promise<void> | undefined
  #pass: Promise<void> | undefined
  #recordsLeft: number
  #runsLoaded = 0
  #isLoaded = false
  #pagesSinceSearch = PAGES_BETWEEN_SEARCHES
  readonly #closing = new AbortController()
  /** Rejects when it fails; another one follows unless nothing can be done. */
  #attempt: Promise<void>
  /** Never rejects. */
  readonly #done: Promise<void>

  /** Holds the runs until all is loaded, or it is closed. */
  constructor(parts: IndexLoadingParts) {
    this.#parts = parts
    const { index, shared, missing } = parts.loaded
    this.#loader = new PageLoader(index, shared)
    this.#runs = missing.map(({ run }) => run)
    this.#recordsLeft = recordsOf(missing)
    for (const run of this.#runs) run.retain()
    this.#attempt = parts.clock.sleep(START_MS, this.#closing.signal).then(() => this.#load())
    this.#done = this.#run()
  }

  /** Records that were not looked at yet. */
  get recordsLeft(): number {
    return this.#recordsLeft
  }

  /**
   * Resolves when all is loaded.
   * @throws (rejects) EngineError `DATA_LOSS`; `STORAGE_FAILED` and `REPOSITORY_FAILED`, after which it is tried again;
   * `ENGINE_CLOSED`
   */
  loaded(): Promise<void> {
    return this.#attempt
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
    const release = this.#hold()
    try {
      for (const record of await Promise.all(newer)) {
        if (Buffer.compare(record.key, key) !== 0) continue
        return record.value.length === 0 ? undefined : record.value
      }
      const found = await this.#find(h1, h2)
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
    const release = this.#hold()
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
    this.#closing.abort()
    await this.#done
    await this.#searching
    if (!this.#isLoaded) this.#release()
  }

  /** Finds the newest record with this hash in the runs, which are held. */
  #find(h1: number, h2: number): Promise<FoundHash | undefined> {
    const hash = hashNumber(h1, h2)
    const waiting = this.#wanted.get(hash) ?? []
    this.#wanted.set(hash, waiting)
    const found = new Promise<FoundHash | undefined>((resolve, reject) => waiting.push({ resolve, reject }))
    this.#searching ??= this.#search()
    return found
  }

  #hold(): () => void {
    for (const run of this.#runs) run.retain()
    return () => this.#release()
  }

  /** Never rejects. What is not loaded is searched for until the end. */
  async #run(): Promise<void> {
    const { clock, fail } = this.#parts
    const { signal } = this.#closing
    while (!this.#isLoaded && !signal.aborted) {
      try {
        await this.#attempt
      } catch (error) {
        if (signal.aborted) return
        if (!isEngineError(error, "STORAGE_FAILED") && !isEngineError(error, "REPOSITORY_FAILED")) {
          fail(error)
          return
        }
        await clock.sleep(RETRY_MS, signal)
        if (signal.aborted) return
        this.#attempt = this.#load()
      }
    }
  }

  /** Begins with the run that was not loaded whole: what has come of it is met again, and nothing happens. */
  async #load(): Promise<void> {
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
      this.#checkOpen()
      const tombstones = this.#loader.load(page, base)
      if (tombstones > 0) tombstonesCame(tombstones)
      if (this.#loader.met > 0) await this.#meet(page, base)
      this.#recordsLeft = recordsBehind - page.first - page.count
      await displaced.pressure()
      await this.#letSearch()
      await clock.nextTurn()
    }
  }

  /** Waits for the search that runs, unless it has waited a little while ago. */
  async #letSearch(): Promise<void> {
    if (this.#pagesSinceSearch++ < PAGES_BETWEEN_SEARCHES || this.#pass === undefined) return
    this.#pagesSinceSearch = 0
    await this.#pass
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
    while (!(await this.#isTold(h1, h2, place))) this.#checkOpen()
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

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new EngineError("ENGINE_CLOSED", "the engine was closed")
  }

  /** Never rejects. Hashes that are asked for while a search runs wait for the next one. */
  async #search(): Promise<void> {
    const release = this.#hold()
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

  #release(): void {
    for (const run of this.#runs) run.release()
  }
}

function recordsOf(runs: readonly MissingRun[]): number {
  return runs.reduce((count, { run }) => count + run.figures.recordCount, 0)
}

/** Of several records with a hash the first counts. */
function answer(wanted: Map<number, Wanted[]>, found: FoundHash): void {
  const hash = hashNumber(found.h1, found.h2)
  for (const { resolve } of wanted.get(hash) ?? []) resolve(found)
  wanted.delete(hash)
}
