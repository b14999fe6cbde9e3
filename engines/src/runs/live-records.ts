// Which records of several runs are live among them: the newest of each key.
//
// Hashes alone propose (passes over the hash sections), keys decide: every pair of records with equal hashes is
// compared by its keys before one of them is dropped. Keys are compared in passes over the records in which the
// keys of newest records are kept, up to KEY_ARENA_BYTES at a time; nearly always one pass is enough. Hashes that
// turn out to be shared by different keys are settled one by one at the end: among ten million keys a fifth of
// such a pair is expected.
//
// Memory: 1 byte a listed record, 5 when records overwrite each other; besides a table of at most SLICE_RECORDS_MAX
// hashes (64 MiB) while hashes propose, then the arena. More hashes are gone through slice by slice, by their first
// bits: each slice is one more reading of the hash sections.
//
// An ordinal numbers all listed records: runs newest first, within a run in file order.

import { assert } from "../base/assert.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"
import { KeyArena } from "./key-arena.ts"
import { OrdinalTable } from "./ordinal-table.ts"
import type { RunFile } from "./run-file.ts"

/** Keys kept in one pass. */
const KEY_ARENA_BYTES = 32 * 1024 * 1024
/** Records whose hashes are kept in one pass, as far as hashes are spread evenly: 15 bytes each. */
const SLICE_RECORDS_MAX = 4 * 1024 * 1024

const H2_SPAN = 2 ** 16
const U32_SPAN = 2 ** 32

/** What is known of a record. All but OVERWRITTEN are live in the end. */
const ALONE = 0
/** Others with its hash are older; their keys have not been compared with its own yet. */
const NEWEST = 1
/** Another one with its hash is newer; probably of the same key. */
const PROPOSED = 2
const OVERWRITTEN = 3
const COMPARED = 4
/** Its key is kept in this pass, for older ones to be compared with. */
const KEPT = 5

/** The live ones of the listed records of `runs`. */
export class LiveRecords {
  readonly #runs: readonly RunFile[]
  /** Ordinal of the first record of each run. */
  readonly #firstOrdinal: number[] = []
  readonly #states: Uint8Array
  /** Of a PROPOSED record the ordinal of the newest with its hash, of a KEPT one where its key is. */
  #links = new Uint32Array(0)
  /** Hashes to be settled by keys alone. */
  readonly #shared = new Set<number>()
  #newestCount = 0

  /**
   * @param runs newest first; they stay the caller's
   * @param sliceRecordsMax for tests
   * @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED`
   */
  static async find(runs: readonly RunFile[], sliceRecordsMax = SLICE_RECORDS_MAX): Promise<LiveRecords> {
    const live = new LiveRecords(runs)
    await live.#propose(Math.max(1, Math.ceil(live.#states.length / sliceRecordsMax)))
    await live.#compare()
    live.#links = new Uint32Array(0)
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
    assert(count < U32_SPAN, "ordinals have 32 bits")
    this.#states = new Uint8Array(count)
  }

  /** Whether the listed record `index` of run `run` is live. */
  isLive(run: number, index: number): boolean {
    return this.#states[this.#firstOrdinal[run]! + index] !== OVERWRITTEN
  }

  /** A bit for each listed record of run `run`, in file order, lowest first: set when it is live. */
  bits(run: number): Uint8Array {
    const { recordCount } = this.#runs[run]!.figures
    const bits = new Uint8Array(Math.ceil(recordCount / 8))
    for (let i = 0; i < recordCount; i++) if (this.isLive(run, i)) bits[i >>> 3]! |= 1 << (i & 7)
    return bits
  }

  /** The newest record of each hash; the others are proposed to be overwritten. */
  async #propose(sliceCount: number): Promise<void> {
    const counts = await this.#sliceCounts(sliceCount)
    for (const [slice, count] of counts.entries()) await this.#proposeSlice(slice, sliceCount, count)
  }

  /** Records in each slice. */
  async #sliceCounts(sliceCount: number): Promise<Uint32Array> {
    const counts = new Uint32Array(sliceCount)
    if (sliceCount === 1) return counts.fill(this.#states.length)
    for (const file of this.#runs) {
      for await (const { h1, count } of file.hashes()) {
        for (let i = 0; i < count; i++) counts[sliceOf(h1[i]!, sliceCount)]!++
      }
    }
    return counts
  }

  async #proposeSlice(slice: number, sliceCount: number, recordCount: number): Promise<void> {
    const table = new OrdinalTable(recordCount)
    for (const [run, file] of this.#runs.entries()) {
      const first = this.#firstOrdinal[run]!
      for await (const { first: firstOfPage, count, h1, h2 } of file.hashes()) {
        for (let i = 0; i < count; i++) {
          if (sliceCount > 1 && sliceOf(h1[i]!, sliceCount) !== slice) continue
          const ordinal = first + firstOfPage + i
          const newer = table.insertIfAbsent(h1[i]!, h2[i]!, ordinal)
          if (newer < 0) continue
          this.#states[ordinal] = PROPOSED
          if (this.#links.length === 0) this.#links = new Uint32Array(this.#states.length)
          this.#links[ordinal] = newer
          // Within one run the later record is the newer one: the order of ordinals does not tell it.
          if (newer >= first) this.#shared.add(h1[i]! * H2_SPAN + h2[i]!)
          if (this.#states[newer] === ALONE) {
            this.#states[newer] = NEWEST
            this.#newestCount++
          }
        }
      }
    }
  }

  async #compare(): Promise<void> {
    if (this.#newestCount === 0) return
    const states = this.#states
    const links = this.#links
    const recordsBytes = this.#runs.reduce((bytes, run) => bytes + run.figures.recordsBytes, 0)
    const arena = new KeyArena(Math.min(recordsBytes, KEY_ARENA_BYTES))
    while (this.#newestCount > 0) {
      arena.clear()
      await this.#forEach((bytes, cursor, ordinal, h1, h2) => {
        const state = states[ordinal]
        if (state === NEWEST) {
          const place = arena.add(bytes, cursor)
          if (place < 0) return
          links[ordinal] = place
          states[ordinal] = KEPT
          this.#newestCount--
        } else if (state === PROPOSED) {
          const newest = links[ordinal]!
          if (states[newest] !== KEPT) return
          if (arena.holds(links[newest]!, bytes, cursor)) states[ordinal] = OVERWRITTEN
          else this.#shared.add(h1 * H2_SPAN + h2)
        }
      })
      for (let i = 0; i < states.length; i++) if (states[i] === KEPT) states[i] = COMPARED
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

function sliceOf(h1: number, sliceCount: number): number {
  return Math.floor((h1 / U32_SPAN) * sliceCount)
}
