// The records of a state that is served already come from its runs into the bottom map, oldest run first and each in
// its order, slice by slice. Meanwhile a key that no map knows is looked for in the runs: by its hash, in all of them.
//
//   maps     written since ─┐                          a key that is there is right: a run can only have an older record
//            loaded         ┤ … no map knows it: run-searches.ts finds the newest record of its hash, or there is none
//   runs     oldest ████████▌░░░░░░░░░░ newest
//
// A run that is not whole here is waited for until somebody wants all records; reads of its records do not wait. When
// the load fails for good nothing is lost: keys that it has not reached are looked for on, and those that cannot be read
// are refused. It goes on when somebody asks for all records.

import { copyBytes, equalBytes } from "../../base/bytes.ts"
import { KeyHasher } from "../../base/key-hash.ts"
import type { CoreHost } from "../../core.ts"
import { BackgroundLoad } from "../../runs/background-load.ts"
import { RunSearches } from "../../runs/run-searches.ts"
import type { FoundHash } from "../../runs/search-hashes.ts"
import type { Layers } from "./layers.ts"
import { RunLoader } from "./run-loader.ts"

export interface RecordLoadingParts {
  readonly host: Pick<CoreHost<unknown>, "clock" | "hashSeed" | "runs" | "warn">
  /** `beginLoad` was called. */
  readonly layers: Layers
  /** Called in the turn in which all is loaded. */
  readonly ended: () => void
}

export class RecordLoading {
  readonly #parts: RecordLoadingParts
  readonly #hasher: KeyHasher
  readonly #searches: RunSearches
  readonly #load: BackgroundLoad
  readonly #release: () => void
  readonly #loader: RunLoader
  #isLoaded = false
  /** Resolves when somebody waits for all records. */
  readonly #wanted: Promise<void>
  #want: () => void = () => undefined
  /** Records that were read for a key that was asked for. */
  readCount = 0

  /** Holds the runs until all is loaded, or it is closed. @param sliceRecords that are loaded in one turn at most */
  constructor(parts: RecordLoadingParts, sliceRecords?: number) {
    this.#parts = parts
    const { clock, hashSeed, runs, warn } = parts.host
    this.#hasher = new KeyHasher(hashSeed)
    this.#searches = new RunSearches(runs.newestFirst)
    this.#release = this.#searches.hold()
    this.#wanted = new Promise((resolve) => {
      this.#want = resolve
    })
    this.#loader = new RunLoader(runs.newestFirst, parts.layers, sliceRecords)
    this.#load = new BackgroundLoad({
      clock,
      load: () => this.#loadRuns(),
      fail: (error) => warn("the state cannot be loaded whole: what is damaged of it is refused", error),
    })
  }

  /**
   * Resolves when all is loaded.
   * @throws (rejects) EngineError `DATA_LOSS`; `STORAGE_FAILED`, `STORAGE_FULL` and `REPOSITORY_FAILED`, after which it
   * is tried again; `ENGINE_CLOSED`
   */
  loaded(): Promise<void> {
    this.#want()
    return this.#load.loaded()
  }

  /**
   * The value of a key that no map knows, as the runs have it; undefined when they have none. The key is the caller's
   * again when the call returns.
   * @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED`, `REPOSITORY_FAILED`
   */
  value(key: Uint8Array): Promise<Uint8Array | undefined> {
    const hasher = this.#hasher
    hasher.hash(key, 0, key.length)
    return this.#value(new Uint8Array(key), hasher.h1, hasher.h2)
  }

  /** Stops loading; answers that are searched for still come. */
  async close(): Promise<void> {
    await this.#load.close()
    await this.#searches.idle()
    if (!this.#isLoaded) this.#release()
  }

  async #value(key: Uint8Array, h1: number, h2: number): Promise<Uint8Array | undefined> {
    // The next dump may take the place of the runs.
    const release = this.#searches.hold()
    try {
      const newest = await this.#searches.newest(h1, h2)
      if (newest === undefined) return undefined
      let value = await this.#read(newest, key)
      if (value !== undefined) return value.length === 0 ? undefined : value
      // Another key has the same hash.
      for (const found of await this.#searches.all(h1, h2)) {
        value = await this.#read(found, key)
        if (value !== undefined) return value.length === 0 ? undefined : value
      }
      return undefined
    } finally {
      release()
    }
  }

  /** The value of a record, empty when it is a tombstone; undefined when it has another key. */
  #read({ run, offset }: FoundHash, key: Uint8Array): Promise<Uint8Array | undefined> {
    this.readCount++
    return run.withRecord(offset, (bytes, { keyStart, keyEnd, valueStart, end }) =>
      keyEnd - keyStart === key.length && equalBytes(bytes, keyStart, key, 0, key.length)
        ? copyBytes(bytes, valueStart, end)
        : undefined,
    )
  }

  async #loadRuns(): Promise<void> {
    const { clock } = this.#parts.host
    await this.#loader.load({
      // Whole runs are fetched in other threads; piece by piece, by reading them, in this one.
      beforeRun: (run) => this.#load.unlessClosed(Promise.race([run.becomeLocal(), this.#wanted])),
      betweenSlices: async () => {
        await this.#searches.giveWay()
        await clock.nextTurn()
        this.#load.checkOpen()
      },
    })
    this.#isLoaded = true
    this.#parts.ended()
    this.#release()
  }
}
