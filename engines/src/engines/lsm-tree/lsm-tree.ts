// Log-structured merge-tree (P. O'Neil et al., Acta Informatica 33, 1996; the division of work after RocksDB):
//
//   set   the active memtable                    hash index over an arena of records
//   seal  the memtable becomes immutable, an empty one takes over: a pointer
//   flush a job sorts it and writes one run of level 0
//   merge runs of a level become one of the next, tiered or levelled
//   get   memtables, newest first ──► runs, newest first: filter ──► fences ──► one block
//
// A delete is a tombstone until a merge with the oldest run drops it: a key never comes back.
//
// Per set: one hash, one bucket of an index, one record. Per get: the same for each memtable, then for each run a
// filter of six probes and, nearly always for one run only, a search in fences and in one block. No allocation but
// the value.

import { EngineError } from "../../base/error.ts"
import { KeyHasher } from "../../base/key-hash.ts"
import type { ReadBudget } from "../../base/read-budget.ts"
import {
  decodeRecord,
  KEY_BYTES_MAX,
  RECORD_HEADER_BYTES_MAX,
  RecordCursor,
  recordBytes,
} from "../../base/record.ts"
import type { CoreHost, EngineCore, Seal } from "../../core.ts"
import type { KeyValue, ScanOptions } from "../../engine.ts"
import type { EngineStatistics } from "../../engine-statistics.ts"
import { FlushLoop } from "../../runs/flush-loop.ts"
import { runDamage } from "../../runs/run-format.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { Flusher } from "./flusher.ts"
import { KeyRound, ROUND_KEYS_MAX } from "./key-round.ts"
import type { Memtable } from "./memtable.ts"
import { Memtables } from "./memtables.ts"
import { RunReads } from "./run-reads.ts"
import { scanOrdered } from "./scan.ts"
import type { LsmTreeSettings } from "./settings.ts"
import { Warming } from "./warming.ts"

type Value = Uint8Array | undefined

/** Memtables whose records may be in memory at once: the active one, two that wait, and one that is being written. */
const MEMTABLES_MAX = 4
/** A batch has no more bytes than this many memtables, and a record. */
const BATCH_MEMTABLES_MAX = 2

export class LsmTree implements EngineCore {
  readonly #host: CoreHost<LsmTreeSettings>
  readonly #hasher: KeyHasher
  readonly #memtables: Memtables
  readonly #flushLoop: FlushLoop<Memtable>
  readonly #reads: RunReads
  readonly #round = new KeyRound()
  readonly #warming: Warming
  readonly #cursor = new RecordCursor()
  readonly #batchBytesMax: number
  #stallCount = 0
  #recordsWritten = 0
  #bytesWritten = 0

  /** @throws (rejects) EngineError `DATA_LOSS` when a run of the state is not sorted by key */
  static async open(host: CoreHost<LsmTreeSettings>): Promise<LsmTree> {
    for (const run of host.runs.newestFirst) {
      if (run.sortedIndex === undefined) throw runDamage(run.path, "it is not sorted by key")
    }
    return new LsmTree(host)
  }

  private constructor(host: CoreHost<LsmTreeSettings>) {
    const { memtableBytesLimit } = host.settings
    const recordBytesMax = RECORD_HEADER_BYTES_MAX + KEY_BYTES_MAX + host.valueBytesMax
    this.#host = host
    this.#hasher = new KeyHasher(host.hashSeed)
    this.#batchBytesMax = BATCH_MEMTABLES_MAX * memtableBytesLimit + recordBytesMax
    this.#memtables = new Memtables({
      bytesLimit: memtableBytesLimit,
      // With nothing but the active memtable in memory there is room for the largest batch.
      bytesMax: MEMTABLES_MAX * memtableBytesLimit + 2 * recordBytesMax,
    })
    this.#reads = new RunReads(host.hashSeed)
    this.#warming = new Warming(host)
    this.#flushLoop = new FlushLoop(host, new Flusher(host, this.#memtables, this.#warming))
  }

  get(key: Uint8Array): Value | Promise<Value> {
    const memtable = this.#findInMemory(key, 0, key.length)
    if (memtable === undefined) {
      return this.#reads.get(this.#host.runs.newestFirst, this.#hasher.h1, this.#hasher.h2, key)
    }
    return memtable.value()
  }

  getMany(keys: readonly Uint8Array[], budget?: ReadBudget): Value[] | Promise<Value[]> {
    // Blocks that are not in memory are all asked for in this turn, and one that several keys need once.
    const values = new Array<Value | Promise<Value>>(keys.length).fill(undefined)
    const round = this.#round
    for (let first = 0; first < keys.length; first += ROUND_KEYS_MAX) {
      round.begin(keys, first, this.#hasher)
      for (const memtable of this.#memtables.newestFirst) memtable.getRound(round, keys, values, budget)
      this.#reads.getRound(this.#host.runs.newestFirst, round, keys, values, budget)
    }
    const hasPromise = values.some(isPromise)
    return hasPromise ? Promise.all(values) : (values as Value[])
  }

  set(key: Uint8Array, value: Uint8Array): Promise<void> | undefined {
    const { h1, h2 } = this.#hash(key, 0, key.length)
    this.#put(h1, h2, key, 0, key.length, value, 0, value.length)
    this.#recordsWritten++
    this.#bytesWritten += recordBytes(key.length, value.length)
    return this.#pressure()
  }

  write(batch: Uint8Array): Promise<void> | undefined {
    const cursor = this.#cursor
    const round = this.#round
    for (let at = 0; at < batch.length; ) {
      const roundEnd = round.beginRecords(batch, at, this.#hasher, cursor)
      // Only fetched: a record of the round may change what the index holds for a later one, or fill the memtable.
      this.#memtables.newestFirst[0]!.touch(round)
      for (let i = 0; at < roundEnd; i++, at = cursor.end) {
        decodeRecord(batch, at, batch.length, cursor)
        const { keyStart, keyEnd, valueStart, end } = cursor
        this.#put(round.h1[i]!, round.h2[i]!, batch, keyStart, keyEnd, batch, valueStart, end)
        this.#recordsWritten++
      }
    }
    this.#bytesWritten += batch.length
    return this.#pressure()
  }

  admit(bytes: number): void {
    const memtables = this.#memtables
    if (memtables.hasRoomFor(bytes)) return
    if (bytes > this.#batchBytesMax) {
      throw new EngineError(
        "BATCH_TOO_LARGE",
        `the batch has ${bytes} bytes; at most ${this.#batchBytesMax} are taken at once (setting memtableBytesLimit)`,
      )
    }
    // Else the active memtable, full but for this batch, might wait for a write that is never taken.
    memtables.seal()
    this.#flushLoop.request()
    if (this.#flushLoop.full !== undefined) throw this.#flushLoop.full
    throw new EngineError(
      "WRITES_STALLED",
      `${memtables.bytes} bytes wait to be written to disk; memory has room for ${memtables.bytesMax}`,
    )
  }

  scan(options: ScanOptions): AsyncIterable<KeyValue[]> {
    const { clock, runs } = this.#host
    const source = {
      memtables: this.#memtables,
      runs,
      clock,
      findInMemory: (key: Uint8Array, start: number, end: number) => this.#findInMemory(key, start, end),
    }
    return scanOrdered(source, options)
  }

  seal(): Seal {
    return { at: this.#memtables.seal() }
  }

  flush(seal: Seal): Promise<readonly OpenRun[]> {
    return this.#flushLoop.flush(seal)
  }

  engineState(): unknown {
    return {}
  }

  /** Nothing refers to a record by its address. */
  keepsAddresses(): boolean {
    return false
  }

  /** Reads take the runs from the set, which holds the output already. */
  relocate(inputs: readonly OpenRun[], output: OpenRun): Promise<void> {
    return this.#warming.replaced(inputs, output)
  }

  /**
   * `recordCount` is an estimate: a write does not ask whether its key is in a run. Counted are keys in each memtable
   * and run, less two for each tombstone: itself, and the record that it probably deletes.
   */
  statistics(): ReturnType<EngineCore["statistics"]> {
    let recordCount = 0
    let indexBytes = 0
    let memtableIndexBytes = 0
    for (const memtable of this.#memtables.newestFirst) {
      recordCount += memtable.keyCount - 2 * memtable.tombstoneCount
      memtableIndexBytes += memtable.indexBytes
    }
    for (const { figures, sortedIndex } of this.#host.runs.newestFirst) {
      recordCount += figures.recordCount - 2 * figures.tombstoneCount
      indexBytes += sortedIndex!.filter.bytes + sortedIndex!.fences.bytes
    }
    return {
      recordCount: Math.max(0, recordCount),
      memoryBytes: this.#memtables.bytes + memtableIndexBytes,
      indexBytes,
      ...this.#flushLoop.statistics(),
      diskReadCount: this.#reads.diskReadCount,
      stallCount: this.#stallCount,
      recordsWritten: this.#recordsWritten,
      bytesWritten: this.#bytesWritten,
    } satisfies Partial<EngineStatistics>
  }

  async close(): Promise<void> {
    const warmed = this.#warming.close()
    await this.#flushLoop.close()
    await warmed
  }

  /** Sets the key in `keySource[keyStart, keyEnd)` to the value in `valueSource[valueStart, valueEnd)`. */
  #put(
    h1: number,
    h2: number,
    keySource: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const memtable = this.#memtables.forRecord(recordBytes(keyEnd - keyStart, valueEnd - valueStart))
    // A key that is nowhere needs no tombstone.
    const isOnlyMemory = this.#memtables.sealedCount === 0 && this.#host.runs.newestFirst.length === 0
    if (valueStart === valueEnd && isOnlyMemory && !memtable.find(h1, h2, keySource, keyStart, keyEnd)) return
    memtable.put(h1, h2, keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd)
  }

  /** The memtable with the newest record of the key, which is under its cursor. Leaves the hash in `#hasher`. */
  #findInMemory(key: Uint8Array, start: number, end: number): Memtable | undefined {
    const { h1, h2 } = this.#hash(key, start, end)
    const memtables = this.#memtables.newestFirst
    for (let i = 0; i < memtables.length; i++) {
      if (memtables[i]!.find(h1, h2, key, start, end)) return memtables[i]
    }
    return undefined
  }

  #hash(key: Uint8Array, start: number, end: number): KeyHasher {
    this.#hasher.hash(key, start, end)
    return this.#hasher
  }

  /** Undefined, or a promise that the writer waits for: the disk is behind. */
  #pressure(): Promise<void> | undefined {
    if (this.#memtables.sealedCount === 0) return undefined
    this.#flushLoop.request()
    const pending = this.#flushLoop.pressure()
    if (pending !== undefined) this.#stallCount++
    return pending
  }
}

function isPromise(value: Value | Promise<Value>): value is Promise<Value> {
  return value instanceof Promise
}
