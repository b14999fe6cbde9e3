// One version of one partition, read where it is stored: no engine, no daemon, nothing on this disk, and no index of
// its keys in memory. Versions of all engines are read alike: what differs is whether their runs are hashed or sorted.
//
// Cost of single keys: in a sorted run its index once, then a block a key; in a hashed run one reading of the hash
// section (12 bytes a record) for each call of `locate`, however many keys it asks for.

import { eachAtOnce } from "../base/each-at-once.ts"
import { EngineError } from "../base/error.ts"
import type { KeySelection } from "../base/key-selection.ts"
import { checkKeyBytes } from "../base/record.ts"
import type { RunFile } from "../runs/run-file.ts"
import type { Manifest } from "../snapshots/manifest.ts"
import { findInRun, type RecordPlace, readValue, WantedKeys } from "./find-keys.ts"
import { hashedPages, lowerBound, sortedPages } from "./live-pages.ts"
import { type RecordPage, recordsOf } from "./record-pages.ts"
import type { RunShelf } from "./run-shelf.ts"

/** Runs that are opened at the same time. */
const RUNS_AT_ONCE = 16

export interface VersionScanOptions extends KeySelection {
  /** Values come empty. */
  readonly keysOnly?: boolean
}

/** Where a version has the value of a key. */
export interface KeyPlace extends RecordPlace {
  /** The run that holds it. A run has one value of a key: the same run is the same value, also in another version. */
  readonly run: RunFile
}

/** Reads reject with EngineError `DATA_LOSS`, naming the object, and `REPOSITORY_FAILED`. */
export class VersionReader {
  readonly manifest: Manifest
  readonly #shelf: RunShelf
  /** Newest first. */
  readonly #runs: readonly RunFile[]
  readonly #isHashed: boolean

  private constructor(manifest: Manifest, shelf: RunShelf, runs: readonly RunFile[], isHashed: boolean) {
    this.manifest = manifest
    this.#shelf = shelf
    this.#runs = runs
    this.#isHashed = isHashed
  }

  /**
   * The version of `manifest`; needs no closing.
   * @param shelf where its runs are opened; the caller closes it when nothing is read any more
   * @throws (rejects) EngineError `DATA_LOSS`, `FORMAT_NEWER`, `REPOSITORY_FAILED`
   */
  static async open(manifest: Manifest, shelf: RunShelf): Promise<VersionReader> {
    const runs = await eachAtOnce(manifest.runs, RUNS_AT_ONCE, (run) => shelf.open(run))
    const hashed = runs.filter((run) => "hashes" in run.layout.index)
    if (hashed.length !== 0 && hashed.length !== runs.length) {
      throw mixed(manifest, "some of its runs are sorted by key, others are not")
    }
    const stranger = runs.find(({ hashSeed }) => hashSeed !== manifest.hashSeed)
    if (stranger !== undefined) throw mixed(manifest, `the hash seed of run ${stranger.path} is another one`)
    return new VersionReader(manifest, shelf, runs, hashed.length > 0)
  }

  /** True when `records` and `scan` come in the order of keys: versions of `lsm-tree`. Others come in file order. */
  get isOrdered(): boolean {
    return !this.#isHashed
  }

  /** The value of `key`, owned by the caller; undefined when it has none. @throws (rejects) `KEY_EMPTY`, `KEY_TOO_LARGE` */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const [place] = await this.locate([key])
    return place === undefined ? undefined : this.read(place, key)
  }

  /**
   * Where the values of many keys are, in the order of `keys`; undefined for one without a value. Some 200 bytes of
   * memory a key.
   */
  async locate(keys: readonly Uint8Array[]): Promise<(KeyPlace | undefined)[]> {
    for (const key of keys) checkKeyBytes(key.length)
    const places: (KeyPlace | undefined)[] = keys.map(() => undefined)
    const wanted = new WantedKeys(keys, this.manifest.hashSeed)
    for (const run of this.#runs) {
      if (wanted.count === 0) break
      await this.#shelf.index(run)
      for (const [at, found] of await findInRun(run, wanted)) {
        if (!found.isTombstone) places[at] = { ...found, run }
        wanted.delete(at)
      }
    }
    return places
  }

  /** The value of `key`, at a place that `locate` gave for it; owned by the caller. */
  read(place: KeyPlace, key: Uint8Array): Promise<Uint8Array> {
    return readValue(place.run, place, key)
  }

  /**
   * Every live record that is selected, exactly once, as pages of encoded records: what is needed to build the state
   * anew, in another engine or in other partitions.
   */
  async *records(selection: KeySelection = {}): AsyncGenerator<RecordPage, void, undefined> {
    if (this.#isHashed) return yield* hashedPages(this.#runs, selection)
    if (lowerBound(selection) !== undefined) for (const run of this.#runs) await this.#shelf.index(run)
    yield* sortedPages(this.#runs, selection)
  }

  /** The same as keys and values; those of one page share its bytes. */
  async *scan(
    options: VersionScanOptions = {},
  ): AsyncGenerator<{ readonly key: Uint8Array; readonly value: Uint8Array }[], void, undefined> {
    for await (const page of this.records(options)) {
      const records = recordsOf(page)
      yield options.keysOnly === true ? records.map(({ key }) => ({ key, value: NO_VALUE })) : records
    }
  }

  /**
   * How many live records there are, counted. What the manifest says is an estimate: keys on disk may not be compared
   * yet.
   */
  async count(): Promise<number> {
    let count = 0
    for await (const page of this.records()) count += page.recordCount
    return count
  }
}

const NO_VALUE = new Uint8Array(0)

function mixed({ store, partition, timeline, version }: Manifest, what: string): EngineError {
  return new EngineError("DATA_LOSS", `version ${timeline}/${version} of ${store}/${partition}: ${what}`)
}
