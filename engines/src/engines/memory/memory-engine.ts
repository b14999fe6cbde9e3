// The naive baseline: everything in a hash map, and a snapshot dumps all of it.
//
//   set       the map on top
//   seal      another map on top of it: everything below is fixed
//   flush     all keys and values below the seal become runs, which replace those before
//   open      a small state is read from its runs; a large one is served at once, and read behind that
//
// It shows what the other engines save. It is also the right choice for small states: nothing is read faster.

import { selects } from "../../base/key-selection.ts"
import { NOT_READ, type ReadBudget } from "../../base/read-budget.ts"
import { decodeRecord, RecordCursor, recordBytes } from "../../base/record.ts"
import type { CoreHost, EngineCore, Seal } from "../../core.ts"
import type { KeyValue, ScanOptions } from "../../engine.ts"
import { readDumpState } from "../../runs/dump-state.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { searchHashes } from "../../runs/search-hashes.ts"
import { Dumper } from "./dumper.ts"
import { type ByteString, type Layer, Layers } from "./layers.ts"
import { RecordLoading } from "./record-loading.ts"
import { RunLoader } from "./run-loader.ts"
import { sortKeys } from "./sorted-keys.ts"

export type MemorySettings = Record<string, never>

/** What this engine may be given besides. */
interface MemoryHost extends CoreHost<MemorySettings> {
  /** Runs of so many bytes are loaded before they are served; so that in tests small states are served before. */
  readonly bytesAtOnceMax?: number
  /** A state of more runs is loaded before it is served; so that in tests a few are many. */
  readonly runsMax?: number
  /** See `RecordLoading`; so that in tests small states are loaded in many slices. */
  readonly sliceRecords?: number
}

type Value = Uint8Array | undefined

const EMPTY = new Uint8Array(0)
/** States of so many bytes are loaded before they are served: nobody notices the wait. */
const BYTES_AT_ONCE_MAX = 1024 * 1024
/**
 * A dump has some 64 runs. Each process that is stopped before its load has ended may leave a patch above them: with so
 * many a state is loaded first, and the next dump puts one of the usual size in their place.
 */
const RUNS_MAX = 256
/** A page of a scan ends when it has this many records or bytes. */
const PAGE_RECORDS = 256
const PAGE_BYTES = 256 * 1024

export class MemoryEngine implements EngineCore {
  readonly #host: CoreHost<MemorySettings>
  readonly #layers = new Layers()
  readonly #dumper: Dumper
  readonly #sealed = new Map<number, { readonly layer: Layer; readonly changeCount: number }>()
  #sealCount = 0
  /** Until the runs that the state was opened with are in memory. */
  #loading: RecordLoading | undefined
  #diskReadCount = 0
  #recordsWritten = 0
  #bytesWritten = 0

  private constructor(host: CoreHost<MemorySettings>, isPatched: boolean) {
    this.#host = host
    this.#dumper = new Dumper(host, this.#layers, isPatched)
  }

  /**
   * The state that the runs of `host` hold. Read and proven before this resolves is all of a small one, and of one that
   * is restored eagerly; of others what finds the records.
   * @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED`, `REPOSITORY_FAILED`
   */
  static async open(host: MemoryHost, engineState: unknown): Promise<MemoryEngine> {
    const { isPatched } = readDumpState(engineState)
    const engine = new MemoryEngine(host, isPatched)
    const { runs, isEager, bytesAtOnceMax = BYTES_AT_ONCE_MAX, runsMax = RUNS_MAX } = host
    if (runs.newestFirst.length === 0) return engine
    const recordCount = runs.figures.reduce((sum, each) => sum + each.recordCount, 0)
    engine.#layers.beginLoad(recordCount, isPatched)
    if (isEager || runs.diskBytes <= bytesAtOnceMax) {
      await new RunLoader(runs.newestFirst, engine.#layers).load()
      engine.#loaded()
    } else {
      // Checks all that is going to be read behind the first answers to find records.
      await searchHashes(runs.newestFirst, new Set())
      const { sliceRecords } = host
      const ended = (): void => engine.#loaded()
      engine.#loading = new RecordLoading({ host, layers: engine.#layers, ended }, sliceRecords)
      // What cannot be loaded now is served all the same, as any other state of which something cannot be had.
      if (runs.newestFirst.length > runsMax) await engine.#loading.loaded().catch(() => undefined)
    }
    return engine
  }

  get(key: Uint8Array): Value | Promise<Value> {
    const value = this.#layers.find(toByteString(key, 0, key.length))
    if (value === undefined) return this.#loading?.value(key)
    return value.length === 0 ? undefined : Buffer.from(value)
  }

  getMany(keys: readonly Uint8Array[], budget?: ReadBudget): Value[] | Promise<Value[]> {
    const values = keys.map((key) => {
      if (budget === undefined) return this.get(key)
      return budget.isSpent ? NOT_READ : budget.keep(this.get(key))
    })
    if (this.#loading === undefined) return values as Value[]
    return values.some((value) => value instanceof Promise) ? Promise.all(values) : (values as Value[])
  }

  set(key: Uint8Array, value: Uint8Array): undefined {
    this.#layers.set(toByteString(key, 0, key.length), Buffer.from(value))
    this.#recordsWritten++
    this.#bytesWritten += recordBytes(key.length, value.length)
  }

  write(batch: Uint8Array): undefined {
    const cursor = new RecordCursor()
    for (let at = 0; at < batch.length; at = cursor.end) {
      decodeRecord(batch, at, batch.length, cursor)
      const key = toByteString(batch, cursor.keyStart, cursor.keyEnd)
      this.#layers.set(key, Uint8Array.prototype.slice.call(batch, cursor.valueStart, cursor.end))
      this.#recordsWritten++
    }
    this.#bytesWritten += batch.length
  }

  admit(): void {
    // Whatever fits the process is taken: this engine has no memory budget and waits for no disk.
  }

  async *scan(options: ScanOptions): AsyncGenerator<KeyValue[]> {
    await this.#loading?.loaded()
    const keys = this.#layers.keys()
    const selected = (function* (): Generator<ByteString> {
      for (const key of keys) if (selects(options, Buffer.from(key, "latin1"))) yield key
    })()
    let page: KeyValue[] = []
    let pageBytes = 0
    let before: ByteString | undefined
    for (const key of await sortKeys(selected, this.#host.clock)) {
      if (key === before) continue
      before = key
      const value = this.#layers.get(key)
      if (value === undefined) continue
      page.push({
        key: Buffer.from(key, "latin1"),
        value: options.keysOnly === true ? EMPTY : Buffer.from(value),
      })
      pageBytes += key.length + value.length
      if (page.length < PAGE_RECORDS && pageBytes < PAGE_BYTES) continue
      yield page
      page = []
      pageBytes = 0
    }
    if (page.length > 0) yield page
  }

  seal(): Seal {
    const at = ++this.#sealCount
    this.#sealed.set(at, { changeCount: this.#layers.changeCount, layer: this.#layers.seal() })
    return { at }
  }

  flush(seal: Seal): Promise<readonly OpenRun[]> {
    const { layer, changeCount } = this.#sealed.get(seal.at)!
    this.#sealed.delete(seal.at)
    return this.#dumper.dump(layer, changeCount)
  }

  engineState(): unknown {
    return this.#dumper.state
  }

  keepsAddresses(): boolean {
    return false
  }

  /** Runs of this engine never merge: those of a dump replace those of the one before. */
  async relocate(): Promise<void> {
    throw new Error("invariant broken: the memory engine has no merges")
  }

  statistics(): ReturnType<EngineCore["statistics"]> {
    return {
      recordCount: this.#layers.keyCount,
      memoryBytes: this.#layers.bytes,
      indexBytes: 0,
      flushCount: this.#dumper.dumpCount,
      bytesFlushed: this.#dumper.bytesDumped,
      diskReadCount: this.#diskReadCount + (this.#loading?.readCount ?? 0),
      stallCount: 0,
      recordsWritten: this.#recordsWritten,
      bytesWritten: this.#bytesWritten,
      // Nothing goes to the disk but dumps for versions, and those say so themselves.
      isStorageFull: false,
    }
  }

  async close(): Promise<void> {
    await this.#loading?.close()
    await this.#dumper.close()
  }

  #loaded(): void {
    this.#layers.endLoad()
    this.#dumper.loaded()
    this.#diskReadCount = this.#loading?.readCount ?? 0
    this.#loading = undefined
  }
}

function toByteString(bytes: Uint8Array, start: number, end: number): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1")
}
