// Hybrid log (after FASTER: B. Chandramouli et al., SIGMOD 2018): a log whose newest part is updated in place.
//
//        on disk, in runs      │ read-only │ mutable    │
//     ─────────────────────────┼───────────┼────────────┤
//                           flushed     readOnly       tail
//
//   set   the record is in the mutable region and the new one fits: overwritten in place; otherwise a new record
//         is appended at the tail and the index points to it (read-copy-update)
//   get   hash of the key -> index -> address; in memory the record is read at once, on disk by a promise
//   seal  the mutable region becomes read-only: a few assignments
//   flush the read-only region is written as one run, byte for byte, so a record keeps its address
//
// Per set: one hash, one bucket of the index (one cache line), one record (two or three lines), no allocation.
// Per get: the same, and one allocation for the value.

import { copyBytes, copyRange, equalBytes } from "../../base/bytes.ts"
import { EngineError } from "../../base/error.ts"
import { KeyHasher } from "../../base/key-hash.ts"
import {
  decodeRecord,
  encodeRecordHeader,
  KEY_BYTES_MAX,
  RECORD_HEADER_BYTES_MAX,
  RecordCursor,
  recordBytes,
} from "../../base/record.ts"
import type { CoreHost, EngineCore, Seal } from "../../core.ts"
import type { EngineStatistics, KeyValue, ScanOptions } from "../../engine.ts"
import { ColdReads, type ColdRecord } from "../../hashed/cold-reads.ts"
import { DisplacedCheck } from "../../hashed/displaced-check.ts"
import { MemoryLog } from "../../hashed/memory-log.ts"
import { moveIndex } from "../../hashed/move-index.ts"
import { scanIndex } from "../../hashed/scan-index.ts"
import { addressOf, isTombstonePlace, tombstonePlace } from "../../runs/address.ts"
import type { CollisionTable } from "../../runs/collision-table.ts"
import type { HashIndex } from "../../runs/hash-index.ts"
import type { Relocations } from "../../runs/merge-runs.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { Flusher } from "./flusher.ts"
import type { HybridLogSettings } from "./settings.ts"

type Value = Uint8Array | undefined

const NO_PLACES: readonly number[] = []

export class HybridLog implements EngineCore {
  readonly #host: CoreHost<HybridLogSettings>
  readonly #hasher: KeyHasher
  readonly #index: HashIndex
  readonly #collisions: CollisionTable
  readonly #log: MemoryLog
  readonly #flusher: Flusher
  readonly #cold: ColdReads
  readonly #displaced: DisplacedCheck
  readonly #cursor = new RecordCursor()
  readonly #lagBytes: number
  readonly #recordBytesMax: number
  readonly #batchBytesMax: number
  #tombstoneCount: number
  #stallCount = 0

  /** @param loaded index and collisions over the runs in `host.runs`. */
  constructor(
    host: CoreHost<HybridLogSettings>,
    loaded: {
      readonly index: HashIndex
      readonly collisions: CollisionTable
      readonly tombstoneCount: number
    },
  ) {
    const { memSegmentLength, roLagInterval, flushInterval } = host.settings
    const intervalBytes = roundUp(flushInterval, memSegmentLength)
    this.#host = host
    this.#hasher = new KeyHasher(host.hashSeed)
    this.#index = loaded.index
    this.#collisions = loaded.collisions
    this.#tombstoneCount = loaded.tombstoneCount
    this.#lagBytes = roundUp(roLagInterval, memSegmentLength)
    this.#recordBytesMax = RECORD_HEADER_BYTES_MAX + KEY_BYTES_MAX + host.valueBytesMax
    // Unflushed while no flush is due: less than the mutable region, the read-only one, and the segment and record
    // at which their border lags. Above that, room to write on while a flush runs: as much as the read-only region,
    // and a record with the gap that it leaves when it does not fit before the ring's end.
    this.#batchBytesMax = intervalBytes + this.#recordBytesMax
    const unflushedBytes = this.#lagBytes + intervalBytes + memSegmentLength + this.#recordBytesMax
    const capacity = roundUp(unflushedBytes + this.#batchBytesMax + this.#recordBytesMax, memSegmentLength)
    this.#log = new MemoryLog(capacity, memSegmentLength)
    this.#flusher = new Flusher(host, this.#log, {
      intervalBytes,
      // Below that the largest batch finds room.
      pressureBytes: Math.min(this.#lagBytes + intervalBytes + intervalBytes / 2, unflushedBytes),
    })
    this.#cold = new ColdReads(host.runs)
    this.#displaced = new DisplacedCheck(this.#collisions, this.#index, {
      read: (place) => this.#readPlace(place),
      fail: host.poison,
    })
  }

  get(key: Uint8Array): Value | Promise<Value> {
    const hasher = this.#hasher
    hasher.hash(key, 0, key.length)
    const { h1, h2 } = hasher
    if (!this.#collisions.isEmpty) {
      const place = this.#collisions.get(key)
      if (place >= 0) {
        const newer = this.#collisions.displacedSince(key, h1, h2)
        if (newer.length === 0) return this.#getKnown(place)
        return this.#firstInMemoryOrCold([...newer, place], key)
      }
    }
    const place = this.#index.get(h1, h2)
    const log = this.#log
    if (place >= log.head && place < log.tail && this.#recordInMemoryHasKey(place, key, 0, key.length)) {
      return copyBytes(log.bytes, this.#cursor.valueStart, this.#cursor.end)
    }
    return this.#getElsewhere(key, h1, h2, place)
  }

  getMany(keys: readonly Uint8Array[]): Value[] | Promise<Value[]> {
    const values = new Array<Value | Promise<Value>>(keys.length)
    let hasPromise = false
    for (let i = 0; i < keys.length; i++) {
      const value = this.get(keys[i]!)
      if (value instanceof Promise) hasPromise = true
      values[i] = value
    }
    return hasPromise ? Promise.all(values) : (values as Value[])
  }

  set(key: Uint8Array, value: Uint8Array): Promise<void> | undefined {
    this.#put(key, 0, key.length, value, 0, value.length)
    return this.#pressure()
  }

  write(batch: Uint8Array): Promise<void> | undefined {
    const cursor = new RecordCursor()
    for (let at = 0; at < batch.length; at = cursor.end) {
      decodeRecord(batch, at, batch.length, cursor)
      this.#put(batch, cursor.keyStart, cursor.keyEnd, batch, cursor.valueStart, cursor.end)
    }
    return this.#pressure()
  }

  admit(bytes: number): void {
    const log = this.#log
    const needed = bytes + Math.min(bytes, this.#recordBytesMax)
    if (log.hasRoomFor(needed)) return
    if (bytes > this.#batchBytesMax) {
      throw new EngineError(
        "BATCH_TOO_LARGE",
        `the batch has ${bytes} bytes; at most ${this.#batchBytesMax} are taken at once (setting flushInterval)`,
      )
    }
    this.#flusher.request()
    if (this.#flusher.full !== undefined) throw this.#flusher.full
    throw new EngineError(
      "WRITES_STALLED",
      `${log.tail - log.flushed} bytes wait to be written to disk; memory has room for ${log.capacity}`,
    )
  }

  scan(options: ScanOptions): AsyncIterable<KeyValue[]> {
    const settled = (): Promise<void> | undefined =>
      this.#collisions.isEmpty ? undefined : this.#displaced.settled()
    return scanIndex(
      this.#index,
      this.#collisions,
      { read: (place) => this.#readPlace(place), settled },
      options,
    )
  }

  seal(): Seal {
    this.#log.freezeAll()
    return { at: this.#log.tail }
  }

  async flush(seal: Seal): Promise<readonly OpenRun[]> {
    const runs = await this.#flusher.flush(seal)
    try {
      // The state names hashes that several keys share: what was displaced until now is nearly always none of them.
      await this.#displaced.settled()
    } catch (error) {
      for (const run of runs) run.release()
      throw error
    }
    return runs
  }

  engineState(): unknown {
    return { sharedHashes: this.#collisions.hashes() }
  }

  keepsAddresses(run: OpenRun): boolean {
    return this.#host.runs.reachesIntoLog(run, this.#log.head)
  }

  async relocate(inputs: readonly OpenRun[], output: OpenRun, relocations: Relocations): Promise<void> {
    // A tombstone that the merge has dropped is still in the index, for older records of its key to be told by.
    await this.#displaced.settled()
    const parts = {
      index: this.#index,
      collisions: this.#collisions,
      runs: this.#host.runs,
      clock: this.#host.clock,
      tombstoneLeft: () => {
        this.#tombstoneCount--
      },
    }
    await moveIndex(parts, inputs, output, relocations)
  }

  statistics(): ReturnType<EngineCore["statistics"]> {
    const known = this.#collisions.places()
    const knownTombstones = known.filter(isTombstonePlace).length
    const log = this.#log
    return {
      recordCount: this.#index.count - this.#tombstoneCount + known.length - knownTombstones,
      memoryBytes: log.tail - log.head,
      indexBytes: this.#index.bytes,
      flushCount: this.#flusher.flushCount,
      bytesFlushed: this.#flusher.bytesFlushed,
      diskReadCount: this.#cold.count,
      stallCount: this.#stallCount,
    } satisfies Partial<EngineStatistics>
  }

  async close(): Promise<void> {
    await this.#displaced.close()
    await this.#flusher.close()
  }

  /** Sets the key in `keySource[keyStart, keyEnd)` to the value in `valueSource[valueStart, valueEnd)`. */
  #put(
    keySource: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const hasher = this.#hasher
    hasher.hash(keySource, keyStart, keyEnd)
    const { h1, h2 } = hasher
    const isDelete = valueStart === valueEnd
    if (!this.#collisions.isEmpty) {
      const key = keySource.subarray(keyStart, keyEnd)
      if (this.#collisions.get(key) >= 0) {
        const address = this.#append(keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd)
        this.#collisions.set(key, h1, h2, isDelete ? tombstonePlace(address) : address)
        return
      }
    }
    const place = this.#index.get(h1, h2)
    if (place < 0) {
      if (isDelete && this.#collisions.isEmpty) return
      this.#place(
        h1,
        h2,
        this.#append(keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd),
        isDelete,
      )
      return
    }
    const log = this.#log
    const address = addressOf(place)
    if (address < log.head || address >= log.tail) {
      this.#collisions.displace(h1, h2, place)
    } else if (!this.#recordInMemoryHasKey(address, keySource, keyStart, keyEnd)) {
      const collided = this.#append(keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd)
      this.#collisions.set(
        keySource.subarray(keyStart, keyEnd),
        h1,
        h2,
        isDelete ? tombstonePlace(collided) : collided,
      )
      return
    } else if (isDelete && isTombstonePlace(place)) {
      return
    } else if (address >= log.readOnly) {
      if (this.#overwrite(address, valueSource, valueStart, valueEnd)) {
        if (isDelete !== isTombstonePlace(place)) this.#place(h1, h2, address, isDelete)
        return
      }
      // What is appended below replaces it; as padding it is neither written out as a record nor met again.
      log.bytes.fill(0, this.#cursor.start, this.#cursor.end)
    }
    this.#place(
      h1,
      h2,
      this.#append(keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd),
      isDelete,
    )
  }

  /** Points the index to a record and keeps count of tombstones. */
  #place(h1: number, h2: number, address: number, isTombstone: boolean): void {
    const before = this.#index.set(h1, h2, isTombstone ? tombstonePlace(address) : address)
    if (before >= 0 && isTombstonePlace(before)) this.#tombstoneCount--
    if (isTombstone) this.#tombstoneCount++
  }

  /**
   * Changes the record under the cursor, at `address`, to the new value, when that fits into the bytes of the
   * record and the padding behind it. What is left over becomes padding.
   */
  #overwrite(address: number, valueSource: Uint8Array, valueStart: number, valueEnd: number): boolean {
    const { bytes } = this.#log
    const { start, end, keyStart, keyEnd, valueStart: target } = this.#cursor
    const valueBytes = valueEnd - valueStart
    if (valueBytes === end - target) {
      copyRange(bytes, target, valueSource, valueStart, valueEnd)
      return true
    }
    const needed = recordBytes(keyEnd - keyStart, valueBytes)
    const slotEndMax = start + this.#log.bytesToBorder(address)
    let slotEnd = end
    while (slotEnd - start < needed && slotEnd < slotEndMax && bytes[slotEnd] === 0) slotEnd++
    if (slotEnd - start < needed) return false
    const keyBytes = keyEnd - keyStart
    const newKeyStart = start + (needed - keyBytes - valueBytes)
    if (newKeyStart !== keyStart) bytes.copyWithin(newKeyStart, keyStart, keyEnd)
    encodeRecordHeader(bytes, start, keyBytes, valueBytes)
    copyRange(bytes, newKeyStart + keyBytes, valueSource, valueStart, valueEnd)
    bytes.fill(0, start + needed, Math.max(slotEnd, start + needed))
    return true
  }

  /** Writes a record at the tail and returns its address. There is room: `admit` was asked. */
  #append(
    keySource: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): number {
    const log = this.#log
    const keyBytes = keyEnd - keyStart
    const valueBytes = valueEnd - valueStart
    const address = log.reserve(recordBytes(keyBytes, valueBytes))
    const at = encodeRecordHeader(log.bytes, log.offsetOf(address), keyBytes, valueBytes)
    copyRange(log.bytes, at, keySource, keyStart, keyEnd)
    copyRange(log.bytes, at + keyBytes, valueSource, valueStart, valueEnd)
    log.freezeBehind(this.#lagBytes)
    return address
  }

  /** Leaves the record at `address`, which is in memory, under the cursor, and says whether it has this key. */
  #recordInMemoryHasKey(address: number, key: Uint8Array, keyStart: number, keyEnd: number): boolean {
    const log = this.#log
    const cursor = this.#cursor
    decodeRecord(log.bytes, log.offsetOf(address), log.capacity, cursor)
    const keyBytes = keyEnd - keyStart
    return (
      cursor.keyEnd - cursor.keyStart === keyBytes &&
      equalBytes(log.bytes, cursor.keyStart, key, keyStart, keyBytes)
    )
  }

  #getKnown(place: number): Value | Promise<Value> {
    if (isTombstonePlace(place)) return undefined
    const record = this.#readPlace(place)
    return record instanceof Promise ? record.then(({ value }) => value) : record.value
  }

  /**
   * What `get` does when the index points to nothing, a tombstone, another key's record, or the disk. Besides the
   * record at `place`, those count that were displaced from the index under this hash and not compared yet. All are
   * located now; the promise may resolve after later writes.
   */
  #getElsewhere(key: Uint8Array, h1: number, h2: number, place: number): Value | Promise<Value> {
    const displaced = this.#collisions.isEmpty ? NO_PLACES : this.#collisions.candidates(h1, h2)
    if (place < 0) {
      return displaced.length === 0 ? undefined : this.#cold.firstWithKey(displaced, new Uint8Array(key))
    }
    const address = addressOf(place)
    if (address >= this.#log.head && address < this.#log.tail) {
      if (displaced.length === 0 || this.#recordInMemoryHasKey(address, key, 0, key.length)) return undefined
      return this.#cold.firstWithKey(displaced, new Uint8Array(key))
    }
    if (displaced.length === 0 && isTombstonePlace(place)) return undefined
    return this.#cold.firstWithKey([place, ...displaced], new Uint8Array(key))
  }

  /** Of these places, newest first, the value of the first record that has this key. All are located now. */
  async #firstInMemoryOrCold(places: readonly number[], key: Uint8Array): Promise<Value> {
    const own = new Uint8Array(key)
    const records = await Promise.all(places.map((place) => this.#readPlace(place)))
    const found = records.find((record) => Buffer.compare(record.key, own) === 0)
    return found === undefined || found.value.length === 0 ? undefined : found.value
  }

  /** The record at a place: its bytes are copied, or read from disk. */
  #readPlace(place: number): ColdRecord | Promise<ColdRecord> {
    const address = addressOf(place)
    const log = this.#log
    if (address < log.head || address >= log.tail) return this.#cold.read(address)
    const cursor = this.#cursor
    decodeRecord(log.bytes, log.offsetOf(address), log.capacity, cursor)
    return {
      key: copyBytes(log.bytes, cursor.keyStart, cursor.keyEnd),
      value: copyBytes(log.bytes, cursor.valueStart, cursor.end),
    }
  }

  /** Undefined, or a promise that the writer waits for: the disk is behind. */
  #pressure(): Promise<void> | undefined {
    this.#flusher.request()
    const pending = this.#flusher.pressure() ?? this.#displaced.pressure()
    if (pending !== undefined) this.#stallCount++
    return pending
  }
}

function roundUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit
}
