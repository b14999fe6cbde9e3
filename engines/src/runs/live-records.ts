// Which records of several runs are live among them: the newest of each key.
//
// Hashes alone propose (one pass over the hash sections), keys decide: every pair of records with equal hashes is
// compared by its keys before one of them is dropped. Keys are compared in passes over the records in which the
// keys of newest records are kept, up to KEY_ARENA_BYTES at a time; nearly always one pass is enough. Hashes that
// turn out to be shared by different keys are settled one by one at the end: among ten million keys a fifth of
// such a pair is expected.
//
// Memory: 12 bytes a listed record, 16 when records overwrite each other, and the arena.
//
// An ordinal numbers all listed records: runs newest first, within a run in file order.

import { copyRange, equalBytes } from "../base/bytes.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"
import { OrdinalTable } from "./ordinal-table.ts"
import type { RunFile } from "./run-file.ts"

/** Keys kept in one pass. */
const KEY_ARENA_BYTES = 32 * 1024 * 1024

const KEY_LENGTH_BYTES = 2
const H2_SPAN = 2 ** 16

/** What is known of a record. All but OVERWRITTEN are live in the end; PROPOSED and NEWEST only exist on the way. */
const ALONE = 0
/** Others with its hash are older; their keys have not been compared with its own yet. */
const NEWEST = 1
/** Another one with its hash is newer; probably of the same key. */
const PROPOSED = 2
const OVERWRITTEN = 3
const COMPARED = 4

/** The live ones of the listed records of `runs`. */
export class LiveRecords {
  readonly #runs: readonly RunFile[]
  /** Ordinal of the first record of each run. */
  readonly #firstOrdinal: number[] = []
  readonly #states: Uint8Array
  /** Hashes to be settled by keys alone. */
  readonly #shared = new Set<number>()
  #newestCount = 0

  /** @param runs newest first; they stay the caller's. @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED` */
  static async find(runs: readonly RunFile[]): Promise<LiveRecords> {
    const live = new LiveRecords(runs)
    const table = await live.#propose()
    await live.#compare(table)
    await live.#settleShared()
    return live
  }

  private constructor(runs: readonly RunFile[]) {
    this.#runs = runs
    let count = 0
    for (const run of runs) {
      this.#firstOrdinal.push(count)
      count += run.figures.recordCount
    }
    this.#states = new Uint8Array(count)
  }

  /** Whether the listed record `index` of run `run` is live. */
  isLive(run: number, index: number): boolean {
    return this.#states[this.#firstOrdinal[run]! + index] !== OVERWRITTEN
  }

  /** How many records are live. */
  count(): number {
    let overwritten = 0
    for (const state of this.#states) if (state === OVERWRITTEN) overwritten++
    return this.#states.length - overwritten
  }

  /** The newest record of each hash; the others are proposed to be overwritten. */
  async #propose(): Promise<OrdinalTable> {
    const table = new OrdinalTable(this.#states.length)
    for (const [run, file] of this.#runs.entries()) {
      const first = this.#firstOrdinal[run]!
      for await (const page of file.hashes()) {
        for (let i = 0; i < page.count; i++) {
          const ordinal = first + page.first + i
          const newer = table.insertIfAbsent(page.h1[i]!, page.h2[i]!, ordinal)
          if (newer < 0) continue
          this.#states[ordinal] = PROPOSED
          // Within one run the later record is the newer one: the order of ordinals does not tell it.
          if (newer >= first) this.#shared.add(page.h1[i]! * H2_SPAN + page.h2[i]!)
          if (this.#states[newer] === ALONE) {
            this.#states[newer] = NEWEST
            this.#newestCount++
          }
        }
      }
    }
    return table
  }

  async #compare(table: OrdinalTable): Promise<void> {
    if (this.#newestCount === 0) return
    const recordsBytes = this.#runs.reduce((bytes, run) => bytes + run.figures.recordsBytes, 0)
    const arena = new KeyArena(this.#states.length, Math.min(recordsBytes, KEY_ARENA_BYTES))
    while (this.#newestCount > 0) {
      arena.clear()
      await this.#forEach((bytes, cursor, ordinal, h1, h2) => {
        const state = this.#states[ordinal]
        if (state === NEWEST) {
          if (!arena.add(ordinal, bytes, cursor)) return
          this.#states[ordinal] = COMPARED
          this.#newestCount--
        } else if (state === PROPOSED) {
          const equal = arena.compare(table.get(h1, h2), bytes, cursor)
          if (equal === true) this.#states[ordinal] = OVERWRITTEN
          else if (equal === false) this.#shared.add(h1 * H2_SPAN + h2)
        }
      })
    }
  }

  async #settleShared(): Promise<void> {
    if (this.#shared.size === 0) return
    const newest = new Map<string, number>()
    await this.#forEach((bytes, cursor, ordinal, h1, h2, firstOfRun) => {
      if (!this.#shared.has(h1 * H2_SPAN + h2)) return
      const key = Buffer.from(bytes.subarray(cursor.keyStart, cursor.keyEnd)).toString("latin1")
      const other = newest.get(key)
      // One of the same run comes before this one and is older; one of a run before is newer.
      const isNewest = other === undefined || other >= firstOfRun
      if (isNewest) {
        newest.set(key, ordinal)
        if (other !== undefined) this.#states[other] = OVERWRITTEN
      }
      this.#states[ordinal] = isNewest ? COMPARED : OVERWRITTEN
    })
  }

  /** Calls `visit` for every listed record, runs newest first. */
  async #forEach(
    visit: (
      bytes: Uint8Array,
      cursor: RecordCursor,
      ordinal: number,
      h1: number,
      h2: number,
      firstOfRun: number,
    ) => void,
  ): Promise<void> {
    const cursor = new RecordCursor()
    for (const [run, file] of this.#runs.entries()) {
      const first = this.#firstOrdinal[run]!
      for await (const { bytes, bytesOffset, hashes, from, to } of file.scan()) {
        for (let i = from; i < to; i++) {
          decodeRecord(bytes, hashes.offset[i]! - bytesOffset, bytes.length, cursor)
          visit(bytes, cursor, first + hashes.first + i, hashes.h1[i]!, hashes.h2[i]!, first)
        }
      }
    }
  }
}

/** Keys of some records: each u16 length and its bytes, one behind the other. */
class KeyArena {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #used = 0
  /** By ordinal: where the key lies, plus 1; 0: not here. */
  readonly #places: Uint32Array

  /** @param bytes its room; as many as the records have are enough for all their keys */
  constructor(ordinals: number, bytes: number) {
    this.#bytes = new Uint8Array(bytes)
    this.#view = new DataView(this.#bytes.buffer)
    this.#places = new Uint32Array(ordinals)
  }

  clear(): void {
    this.#used = 0
    this.#places.fill(0)
  }

  /** Keeps the key of a record; false when there is no room for it. */
  add(ordinal: number, bytes: Uint8Array, cursor: RecordCursor): boolean {
    const keyBytes = cursor.keyEnd - cursor.keyStart
    if (this.#used + KEY_LENGTH_BYTES + keyBytes > this.#bytes.length) return false
    this.#places[ordinal] = this.#used + 1
    this.#view.setUint16(this.#used, keyBytes)
    copyRange(this.#bytes, this.#used + KEY_LENGTH_BYTES, bytes, cursor.keyStart, cursor.keyEnd)
    this.#used += KEY_LENGTH_BYTES + keyBytes
    return true
  }

  /** Whether the record's key equals the one kept for `ordinal`; undefined when that one is not here. */
  compare(ordinal: number, bytes: Uint8Array, cursor: RecordCursor): boolean | undefined {
    const place = this.#places[ordinal]!
    if (place === 0) return undefined
    const keyBytes = cursor.keyEnd - cursor.keyStart
    if (this.#view.getUint16(place - 1) !== keyBytes) return false
    return equalBytes(this.#bytes, place - 1 + KEY_LENGTH_BYTES, bytes, cursor.keyStart, keyBytes)
  }
}
