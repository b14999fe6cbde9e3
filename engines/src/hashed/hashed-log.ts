// What the hashed engines share: a log in memory, an index of its newest records by the hash of their keys, and runs
// on disk that keep the addresses which their bytes had in the log. An engine says how far behind the tail records
// are updated in place, and how the log gets to disk.
//
//        on disk, in runs      │ read-only │ mutable    │
//     ─────────────────────────┼───────────┼────────────┤
//                           flushed     readOnly       tail
//
//   set   the record is in the mutable region and the new one fits: overwritten in place; otherwise a new record
//         is appended at the tail and the index points to it (read-copy-update)
//   get   hash of the key -> index -> address; in memory the record is read at once, on disk by a promise
//   seal  the mutable region becomes read-only: a few assignments
//   flush the flush loop makes runs of the read-only region, byte for byte, so a record keeps its address
//   load  what the index of a large state does not have yet is searched for in the runs (index-loading.ts)
//
// Per set: one hash, one bucket of the index (one cache line), one record (two or three lines), no allocation. Per get:
// the same, and one allocation for the value.

import { EngineError, isEngineError } from "../base/error.ts"
import { KeyHasher } from "../base/key-hash.ts"
import { NOT_READ, type ReadBudget } from "../base/read-budget.ts"
import { decodeRecord, RecordCursor, recordBytes } from "../base/record.ts"
import type { CoreHost, EngineCore, Seal } from "../core.ts"
import type { KeyValue, ScanOptions } from "../engine.ts"
import type { EngineStatistics } from "../engine-statistics.ts"
import { addressOf, isTombstonePlace, tombstonePlace } from "../runs/address.ts"
import type { CollisionTable } from "../runs/collision-table.ts"
import type { FlushLoop } from "../runs/flush-loop.ts"
import type { HashIndex } from "../runs/hash-index.ts"
import type { Relocations } from "../runs/relocations.ts"
import { type OpenRun, RUN_ADDRESS_BASE } from "../runs/run-set.ts"
import { ColdReads } from "./cold-reads.ts"
import { DisplacedCheck } from "./displaced-check.ts"
import { IndexLoading } from "./index-loading.ts"
import { KeyRound, ROUND_KEYS_MAX } from "./key-round.ts"
import type { LoadedIndex } from "./load-index.ts"
import type { MemoryLog } from "./memory-log.ts"
import { MemoryRecords } from "./memory-records.ts"
import { moveIndex } from "./move-index.ts"
import { PlacedRecords } from "./placed-records.ts"
import { scanIndex } from "./scan-index.ts"

type Value = Uint8Array | undefined

const NO_PLACES: readonly number[] = []

/** What one hashed engine has of its own. Sizes in bytes. */
export interface HashedLogParts {
  /** Index and collisions over the runs of the host; what is missing is loaded from now on. */
  readonly loaded: LoadedIndex
  readonly log: MemoryLog
  /** Makes runs of the log in address order, without gaps, each under the addresses that its bytes had in the log. */
  readonly flushLoop: FlushLoop<number>
  /** Length of the mutable region; 0: every write appends. */
  readonly lagBytes: number
  /** The longest record, and the largest batch that is taken. */
  readonly recordBytesMax: number
  readonly batchBytesMax: number
  /** The setting that the largest batch follows from. */
  readonly batchSetting: string
}

export class HashedLog implements EngineCore {
  readonly #host: CoreHost<unknown>
  readonly #parts: HashedLogParts
  readonly #hasher: KeyHasher
  readonly #index: HashIndex
  readonly #collisions: CollisionTable
  readonly #log: MemoryLog
  readonly #records: MemoryRecords
  readonly #flushLoop: FlushLoop<number>
  readonly #cold: ColdReads
  readonly #placed: PlacedRecords
  readonly #displaced: DisplacedCheck
  readonly #round = new KeyRound()
  readonly #batchCursor = new RecordCursor()
  /** As long as records of runs are missing in the index. */
  #loading: IndexLoading | undefined
  /** Hashes that keys may share whose older records could not be compared, as of the last flush. */
  #unmet: readonly string[] = []
  #tombstoneCount: number
  #stallCount = 0
  #recordsWritten = 0
  #bytesWritten = 0

  constructor(host: CoreHost<unknown>, parts: HashedLogParts) {
    this.#host = host
    this.#parts = parts
    this.#hasher = new KeyHasher(host.hashSeed)
    this.#index = parts.loaded.index
    this.#collisions = parts.loaded.collisions
    this.#tombstoneCount = parts.loaded.tombstoneCount
    this.#log = parts.log
    this.#records = new MemoryRecords(parts.log, parts.lagBytes)
    this.#flushLoop = parts.flushLoop
    this.#cold = new ColdReads(host.runs)
    this.#placed = new PlacedRecords(this.#records, this.#cold)
    this.#displaced = new DisplacedCheck({
      collisions: this.#collisions,
      index: this.#index,
      records: this.#records,
      runs: host.runs,
      executor: host.executor,
      clock: host.clock,
      readKey: (place) => this.#placed.readKey(place),
      fail: host.poison,
    })
    if (parts.loaded.missing.length > 0) this.#loading = this.#loadMissing(parts.loaded)
  }

  get(key: Uint8Array): Value | Promise<Value> {
    const hasher = this.#hasher
    hasher.hash(key, 0, key.length)
    return this.#getAt(key, hasher.h1, hasher.h2, this.#index.get(hasher.h1, hasher.h2))
  }

  getMany(keys: readonly Uint8Array[], budget?: ReadBudget): Value[] | Promise<Value[]> {
    const values = new Array<Value | Promise<Value>>(keys.length)
    let hasPromise = false
    const round = this.#round
    for (let start = 0; start < keys.length; start += ROUND_KEYS_MAX) {
      const count = Math.min(keys.length - start, ROUND_KEYS_MAX)
      for (let i = 0; i < count; i++) {
        const key = keys[start + i]!
        round.hash(i, this.#hasher, key, 0, key.length)
      }
      round.lookUp(count, this.#index, this.#records)
      for (let i = 0; i < count; i++) {
        if (budget?.isSpent) {
          values[start + i] = NOT_READ
          continue
        }
        let value = this.#getAt(keys[start + i]!, round.h1[i]!, round.h2[i]!, round.places[i]!)
        if (budget !== undefined) value = budget.keep(value)
        if (value instanceof Promise) hasPromise = true
        values[start + i] = value
      }
    }
    return hasPromise ? Promise.all(values) : (values as Value[])
  }

  set(key: Uint8Array, value: Uint8Array): Promise<void> | undefined {
    const hasher = this.#hasher
    hasher.hash(key, 0, key.length)
    this.#put(hasher.h1, hasher.h2, key, 0, key.length, value, 0, value.length)
    this.#recordsWritten++
    this.#bytesWritten += recordBytes(key.length, value.length)
    return this.#pressure()
  }

  write(batch: Uint8Array): Promise<void> | undefined {
    const round = this.#round
    const cursor = this.#batchCursor
    for (let at = 0; at < batch.length; ) {
      let count = 0
      for (; at < batch.length && count < ROUND_KEYS_MAX; count++) {
        decodeRecord(batch, at, batch.length, cursor)
        round.hash(count, this.#hasher, batch, cursor.keyStart, cursor.keyEnd)
        round.keyStart[count] = cursor.keyStart
        round.keyEnd[count] = cursor.keyEnd
        round.end[count] = cursor.end
        at = cursor.end
      }
      // Only fetched: a record of the round may change what the index holds for a later one.
      if (count > 1) round.lookUp(count, this.#index, this.#records)
      for (let i = 0; i < count; i++) {
        const keyEnd = round.keyEnd[i]!
        const end = round.end[i]!
        this.#put(round.h1[i]!, round.h2[i]!, batch, round.keyStart[i]!, keyEnd, batch, keyEnd, end)
      }
      this.#recordsWritten += count
    }
    this.#bytesWritten += batch.length
    return this.#pressure()
  }

  admit(bytes: number): void {
    const log = this.#log
    const { recordBytesMax, batchBytesMax, batchSetting } = this.#parts
    if (log.hasRoomFor(bytes + Math.min(bytes, recordBytesMax))) return
    if (bytes > batchBytesMax) {
      throw new EngineError(
        "BATCH_TOO_LARGE",
        `the batch has ${bytes} bytes; at most ${batchBytesMax} are taken at once (setting ${batchSetting})`,
      )
    }
    this.#flushLoop.request()
    if (this.#flushLoop.full !== undefined) throw this.#flushLoop.full
    throw new EngineError(
      "WRITES_STALLED",
      `${log.tail - log.flushed} bytes wait to be written to disk; memory has room for ${log.capacity}`,
    )
  }

  async *scan(options: ScanOptions): AsyncGenerator<KeyValue[]> {
    await this.#loading?.loaded()
    const settled = (): Promise<void> | undefined =>
      this.#collisions.isEmpty ? undefined : this.#displaced.settled()
    yield* scanIndex(
      this.#index,
      this.#collisions,
      { read: (place) => this.#placed.read(place), settled, get: (key) => this.get(key) },
      options,
    )
  }

  seal(): Seal {
    this.#log.freezeAll()
    return { at: this.#log.tail }
  }

  async flush(seal: Seal): Promise<readonly OpenRun[]> {
    const runs = await this.#flushLoop.flush(seal)
    try {
      await this.#loading?.loaded()
      // The state names hashes that several keys share: what was displaced until now is nearly always none of them.
      await this.#displaced.settled()
      this.#unmet = []
      return runs
    } catch (error) {
      try {
        if (!isEngineError(error, "REPOSITORY_FAILED")) throw error
        // It cannot be reached now: the state names them all, and who loads it compares their keys.
        this.#unmet = (await this.#loading?.unmetHashes()) ?? []
        return runs
      } catch (final) {
        for (const run of runs) run.release()
        throw final
      }
    }
  }

  engineState(): unknown {
    const hashes = this.#collisions.hashes()
    return {
      sharedHashes: this.#unmet.length === 0 ? hashes : [...new Set([...hashes, ...this.#unmet])].sort(),
    }
  }

  keepsAddresses(run: OpenRun): boolean {
    return this.#host.runs.reachesIntoLog(run, this.#log.head)
  }

  async relocate(inputs: readonly OpenRun[], output: OpenRun, relocations: Relocations): Promise<void> {
    await this.#loading?.loaded()
    // A tombstone that the merge has dropped is still in the index, for older records of its key to be told by.
    await this.#displaced.settled()
    const parts = {
      index: this.#index,
      collisions: this.#collisions,
      runs: this.#host.runs,
      clock: this.#host.clock,
      settled: () => this.#displaced.settled(),
      tombstoneLeft: () => {
        this.#tombstoneCount--
      },
    }
    await moveIndex(parts, inputs, output, relocations)
  }

  statistics(): ReturnType<EngineCore["statistics"]> {
    const known = this.#collisions.places()
    const knownTombstones = known.filter(isTombstonePlace).length
    // Of records that are missing in the index nobody knows yet whether they were overwritten.
    const indexed = this.#index.count + (this.#loading?.recordsLeft ?? 0) - this.#tombstoneCount
    return {
      recordCount: indexed + known.length - knownTombstones,
      memoryBytes: this.#log.tail - this.#log.head,
      indexBytes: this.#index.bytes,
      ...this.#flushLoop.statistics(),
      diskReadCount: this.#cold.count,
      stallCount: this.#stallCount,
      recordsWritten: this.#recordsWritten,
      bytesWritten: this.#bytesWritten,
    } satisfies Partial<EngineStatistics>
  }

  async close(): Promise<void> {
    await this.#loading?.close()
    await this.#displaced.close()
    await this.#flushLoop.close()
  }

  /**
   * Sets the key in `keySource[keyStart, keyEnd)`, whose hash is given, to the value in
   * `valueSource[valueStart, valueEnd)`.
   */
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
    const records = this.#records
    const isDelete = valueStart === valueEnd
    if (!this.#collisions.isEmpty) {
      const key = keySource.subarray(keyStart, keyEnd)
      if (this.#collisions.get(key) >= 0) {
        const address = records.append(keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd)
        this.#collisions.set(key, h1, h2, isDelete ? tombstonePlace(address) : address)
        return
      }
    }
    const place = this.#index.get(h1, h2)
    if (place < 0) {
      // Nothing to delete.
      if (isDelete && this.#collisions.isEmpty && this.#loading === undefined) return
    } else {
      const address = addressOf(place)
      if (!records.has(address)) {
        this.#collisions.displace(h1, h2, place)
      } else if (!records.hasKey(address, keySource, keyStart, keyEnd)) {
        const key = keySource.subarray(keyStart, keyEnd)
        const collided = records.append(keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd)
        this.#collisions.set(key, h1, h2, isDelete ? tombstonePlace(collided) : collided)
        return
      } else if (isDelete && isTombstonePlace(place)) {
        return
      } else if (address >= this.#log.readOnly) {
        if (records.overwrite(address, valueSource, valueStart, valueEnd)) {
          if (isDelete !== isTombstonePlace(place)) this.#point(h1, h2, address, isDelete)
          return
        }
        records.erase()
      }
    }
    const address = records.append(keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd)
    this.#point(h1, h2, address, isDelete)
  }

  /** Points the index to a record and keeps count of tombstones. */
  #point(h1: number, h2: number, address: number, isTombstone: boolean): void {
    const before = this.#index.set(h1, h2, isTombstone ? tombstonePlace(address) : address)
    if (before >= 0 && isTombstonePlace(before)) this.#tombstoneCount--
    if (isTombstone) this.#tombstoneCount++
  }

  /** The value of a key, by what the index holds under its hash. */
  #getAt(key: Uint8Array, h1: number, h2: number, place: number): Value | Promise<Value> {
    if (!this.#collisions.isEmpty) {
      const known = this.#collisions.get(key)
      if (known >= 0) {
        const newer = this.#collisions.displacedSince(key, h1, h2)
        if (newer.length === 0) return this.#placed.value(known)
        return this.#placed.firstWithKey([...newer, known], key)
      }
    }
    const records = this.#records
    if (records.has(place) && records.hasKey(place, key, 0, key.length)) return records.value()
    return this.#getElsewhere(key, h1, h2, place)
  }

  /**
   * What `get` does when the index points to nothing, a tombstone, another key's record, or the disk. Besides the
   * record at `place`, those count that were displaced from the index under this hash and not compared yet. All are
   * located now; the promise may resolve after later writes.
   */
  #getElsewhere(key: Uint8Array, h1: number, h2: number, place: number): Value | Promise<Value> {
    // What was loaded is the newest record that runs have of its hash.
    if (this.#loading !== undefined && place < RUN_ADDRESS_BASE) {
      const newer = this.#collisions.candidates(h1, h2)
      const read = (place < 0 ? newer : [place, ...newer]).map((each) => this.#placed.read(each))
      return this.#loading.value(new Uint8Array(key), h1, h2, read)
    }
    const displaced = this.#collisions.isEmpty ? NO_PLACES : this.#collisions.candidates(h1, h2)
    return this.#placed.valueElsewhere(key, place, displaced)
  }

  #loadMissing(loaded: LoadedIndex): IndexLoading {
    return new IndexLoading({
      loaded,
      clock: this.#host.clock,
      readKey: (place) => this.#placed.readKey(place),
      displaced: this.#displaced,
      tombstonesCame: (count) => {
        this.#tombstoneCount += count
      },
      ended: () => {
        this.#loading = undefined
      },
      fail: this.#host.poison,
    })
  }

  /** Undefined, or a promise that the writer waits for: the disk is behind. */
  #pressure(): Promise<void> | undefined {
    this.#flushLoop.request()
    const pending = this.#flushLoop.pressure() ?? this.#displaced.pressure()
    if (pending !== undefined) this.#stallCount++
    return pending
  }
}
