// The newest part of an LSM-tree: records in the order in which they came, and the hash index over them.
//
//   arena   [ record ][ record ][ dead ][ record ]0[ record ] …    as in base/record.ts; 0: padding
//   index   hash of the key ──► offset of its newest record
//
// A write whose value fits where the old one lies replaces it there; otherwise the record is appended, and the one
// before it is dead: it keeps its bytes, and whoever walks over the arena takes the last record of each key. An
// offset at which a record starts is good for ever. Once sealed nothing changes.
//
// Per set: one hash (the caller's), one bucket of the index, one record. No allocation.

import { copyRange, equalBytes } from "../../base/bytes.ts"
import { overwriteRecord } from "../../base/overwrite-record.ts"
import { NOT_READ, type ReadBudget } from "../../base/read-budget.ts"
import { decodeRecord, encodeRecordHeader, RecordCursor } from "../../base/record.ts"
import { ValueSlab } from "../../base/value-slab.ts"
import { HashIndex } from "../../runs/hash-index.ts"
import type { KeyRound } from "./key-round.ts"

export class Memtable {
  /** Ascending from memtable to memtable. */
  readonly sequence: number
  /** Where `find` left the record. */
  readonly cursor = new RecordCursor()
  /** Records lie in `[0, end)`. */
  readonly bytes: Buffer
  end = 0

  readonly #index = new HashIndex()
  /** Keys whose hash has another key in the index; as strings of one character a byte. Nearly always empty. */
  readonly #shared = new Map<string, number>()
  #tombstoneCount = 0
  #holdCount = 0
  readonly #values: ValueSlab
  /** Of no meaning: keeps what is only touched from being optimised away. */
  touched = 0

  /** @param arena as long as the memtable may get; what is in it does not matter */
  constructor(sequence: number, arena: Buffer) {
    this.sequence = sequence
    this.bytes = arena
    this.#values = new ValueSlab(arena)
  }

  /** Whether somebody reads it, and will when it has gone from the state: see `hold`. */
  get isHeld(): boolean {
    return this.#holdCount > 0
  }

  /** The arena stays as it is until `release`. */
  hold(): void {
    this.#holdCount++
  }

  release(): void {
    this.#holdCount--
  }

  /** Keys in it, deleted ones included. */
  get keyCount(): number {
    return this.#index.count + this.#shared.size
  }

  /** Keys whose newest record is a tombstone. */
  get tombstoneCount(): number {
    return this.#tombstoneCount
  }

  get indexBytes(): number {
    return this.#index.bytes
  }

  hasRoomFor(bytes: number): boolean {
    return this.end + bytes <= this.bytes.length
  }

  /** Whether the key `source[start, end)` of this hash is here; its newest record is then under `cursor`. */
  find(h1: number, h2: number, source: Uint8Array, start: number, end: number): boolean {
    const offset = this.#index.get(h1, h2)
    if (offset < 0) return false
    const cursor = this.cursor
    decodeRecord(this.bytes, offset, this.end, cursor)
    const keyBytes = end - start
    const isFound =
      cursor.keyEnd - cursor.keyStart === keyBytes &&
      equalBytes(this.bytes, cursor.keyStart, source, start, keyBytes)
    return isFound || (this.#shared.size > 0 && this.#findShared(source, start, end))
  }

  /** A copy of the value under the cursor, the caller's own; undefined for a tombstone. */
  value(): Uint8Array | undefined {
    const { valueStart, end } = this.cursor
    return valueStart === end ? undefined : this.#values.copy(valueStart, end)
  }

  /** Answers those keys of the round that are here; the others stay missing. */
  getRound(
    round: KeyRound,
    keys: readonly Uint8Array[],
    values: (Uint8Array | undefined | Promise<Uint8Array | undefined>)[],
    budget?: ReadBudget,
  ): void {
    if (this.#index.count === 0) return
    const { first, h1, h2, missing, missingCount } = round
    this.touch(round)
    round.missingCount = 0
    for (let n = 0; n < missingCount; n++) {
      const i = missing[n]!
      const key = keys[first + i]!
      if (budget?.isSpent) values[first + i] = NOT_READ
      else if (this.find(h1[i]!, h2[i]!, key, 0, key.length)) {
        const value = this.value()
        values[first + i] = budget === undefined ? value : budget.keep(value)
      } else missing[round.missingCount++] = i
    }
  }

  /** Loads what looking the round's keys up reads, so that the processor waits for all of it at once. */
  touch({ h1, h2, offsets, count }: KeyRound): void {
    this.#index.getBatch(h1, h2, offsets, count)
    let touched = 0
    for (let i = 0; i < count; i++) if (offsets[i]! >= 0) touched |= this.bytes[offsets[i]!]!
    this.touched = touched
  }

  /** Sets the key to the value. There is room for the record; the hash is the key's. */
  put(
    h1: number,
    h2: number,
    keySource: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const isTombstone = valueStart === valueEnd
    const isFound = this.find(h1, h2, keySource, keyStart, keyEnd)
    if (isFound) {
      const wasTombstone = this.cursor.isTombstone
      if (isTombstone !== wasTombstone) this.#tombstoneCount += isTombstone ? 1 : -1
      if (this.#overwrite(valueSource, valueStart, valueEnd)) return
    } else if (isTombstone) {
      this.#tombstoneCount++
    }
    const offset = this.#append(keySource, keyStart, keyEnd, valueSource, valueStart, valueEnd)
    if (isFound && this.#shared.size === 0) {
      this.#index.set(h1, h2, offset)
    } else if (isFound) {
      const key = byteString(keySource, keyStart, keyEnd)
      if (this.#shared.has(key)) this.#shared.set(key, offset)
      else this.#index.set(h1, h2, offset)
    } else if (!this.#index.insertIfAbsent(h1, h2, offset)) {
      this.#shared.set(byteString(keySource, keyStart, keyEnd), offset)
    }
  }

  #findShared(source: Uint8Array, start: number, end: number): boolean {
    const offset = this.#shared.get(byteString(source, start, end))
    if (offset === undefined) return false
    decodeRecord(this.bytes, offset, this.end, this.cursor)
    return true
  }

  /**
   * Changes the record under the cursor to the new value, when that fits into its bytes and the padding behind them.
   * What is left over becomes padding.
   */
  #overwrite(source: Uint8Array, valueStart: number, valueEnd: number): boolean {
    const { bytes } = this
    const { end, valueStart: target } = this.cursor
    if (valueEnd - valueStart === end - target) {
      copyRange(bytes, target, source, valueStart, valueEnd)
      return true
    }
    return overwriteRecord(bytes, this.cursor, this.end, source, valueStart, valueEnd)
  }

  #append(
    keySource: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): number {
    const { bytes, end: offset } = this
    const keyBytes = keyEnd - keyStart
    const at = encodeRecordHeader(bytes, offset, keyBytes, valueEnd - valueStart)
    copyRange(bytes, at, keySource, keyStart, keyEnd)
    copyRange(bytes, at + keyBytes, valueSource, valueStart, valueEnd)
    this.end = at + keyBytes + (valueEnd - valueStart)
    return offset
  }
}

function byteString(source: Uint8Array, start: number, end: number): string {
  return Buffer.from(source.buffer, source.byteOffset + start, end - start).toString("latin1")
}
