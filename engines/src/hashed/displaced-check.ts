// Compares, behind the writers, the keys of records on disk that writes have pushed out of the index unread.
// See collision-table.ts for why.
//
//   displaced -> wait a little for more -> many:  a job reads them in the order of the disk, off this thread
//                                          few:   read here, a handful at a time
//
// Nobody waits for an answer but scans, merges and versions (`settled`), and writers that are too far ahead. Read one
// by one, each record costs this thread a call to the system; in a batch many share one.
//
// A record of a run that is still on its way may be where nobody reaches it now: it stays displaced, whoever has waited
// for it is told, and it is tried again. Any other failure is the end.

import { equalBytes } from "../base/bytes.ts"
import { EngineError, isEngineError } from "../base/error.ts"
import type { Clock } from "../io/clock.ts"
import type { Executor } from "../io/executor.ts"
import { DISPLACED_MAX } from "../runs/collision-table.ts"
import { Relief } from "../runs/waiting-seals.ts"
import { compareKeys } from "./compare-keys.ts"
import { DisplacedBatch, type DisplacedBatchParts, SLICE_RECORDS } from "./displaced-batch.ts"

/** How long records are gathered before they are compared, unless there are many. */
const GATHER_MS = 50
/** So many are compared at once. */
const GATHERED_MAX = 16_384
/** Fewer are read here: a job costs the threads about as much as a hundred reads. */
const JOB_RECORDS_MIN = 256
/** How long to wait until a repository that was not reached is asked again. */
const RETRY_MS = 1000
/** Records read here at the same time: asking the disk for each holds the thread for a call. */
const READS_AT_ONCE = 16

export interface DisplacedCheckParts extends DisplacedBatchParts {
  readonly executor: Executor
  readonly clock: Pick<Clock, "sleep" | "nextTurn">
  /** A copy of the key of the record at a place, which must be readable. */
  readonly readKey: (place: number) => Uint8Array | Promise<Uint8Array>
  /** Hears of a record that can never be read: the state can no longer be told for sure. */
  readonly fail: (error: unknown) => void
}

export class DisplacedCheck {
  readonly #parts: DisplacedCheckParts
  /** Used again as long as the loop goes on. */
  #batch: DisplacedBatch | undefined
  #loop: Promise<void> | undefined
  /** Released when some have been compared. */
  readonly #compared = new Relief()
  /** What writers wait for. */
  readonly #relief = new Relief()
  /** Ends the wait for more records, while there is one. */
  #gathering: AbortController | undefined
  /** Calls of `settled` that have not resolved. */
  #settling = 0
  #failure: unknown
  /** Attempts to compare some, so far. */
  #attempts = 0
  /** Why the last attempt has compared nothing; the next one begins without. */
  #unreached: EngineError | undefined
  readonly #closing = new AbortController()

  constructor(parts: DisplacedCheckParts) {
    this.#parts = parts
  }

  /** Starts the comparison when there is something to compare. A promise when writers are too far ahead. */
  pressure(): Promise<void> | undefined {
    const { displacedCount } = this.#parts.collisions
    if (displacedCount === 0) return undefined
    this.#loop ??= this.#run()
    if (displacedCount >= GATHERED_MAX && this.#unreached === undefined) this.#gathering?.abort()
    return displacedCount > DISPLACED_MAX ? this.#relief.wait() : undefined
  }

  /**
   * Resolves when everything that is displaced now has been compared.
   * @throws (rejects) EngineError `REPOSITORY_FAILED` when that cannot be done now, others when it never can
   */
  async settled(): Promise<void> {
    const { collisions } = this.#parts
    const last = collisions.lastSequence
    const attemptsBefore = this.#attempts
    this.#settling++
    try {
      for (;;) {
        const oldest = collisions.displaced.oldestFrom(0)
        if (oldest < 0 || oldest > last) return
        if (this.#failure !== undefined) throw this.#failure
        if (this.#closing.signal.aborted) throw new EngineError("ENGINE_CLOSED", "the engine was closed")
        void this.pressure()
        this.#gathering?.abort()
        // Not the end of the loop: while writers go on, it has none.
        await this.#compared.wait()
        // What was out of reach before the call says nothing about now.
        if (this.#unreached !== undefined && this.#attempts > attemptsBefore) throw this.#unreached
      }
    } finally {
      this.#settling--
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#gathering?.abort()
    await this.#loop
  }

  async #run(): Promise<void> {
    const { collisions } = this.#parts
    const { signal } = this.#closing
    try {
      for (;;) {
        await this.#gather()
        if (signal.aborted || collisions.displacedCount === 0) return
        await this.#compare()
        this.#compared.release()
        if (collisions.displacedCount <= DISPLACED_MAX) this.#relief.release()
      }
    } catch (error) {
      this.#failure ??= error
      if (!signal.aborted) this.#parts.fail(error)
    } finally {
      this.#batch = undefined
      // In the same turn as the end: who goes on may come back at once, and starts the next one.
      this.#loop = undefined
      this.#compared.release()
      this.#relief.release()
    }
  }

  /** Waits for more records, as long as nobody waits for these, and always after an attempt that was in vain. */
  async #gather(): Promise<void> {
    const { collisions, clock } = this.#parts
    const isWanted = collisions.displacedCount >= GATHERED_MAX || this.#settling > 0
    if (this.#closing.signal.aborted || (isWanted && this.#unreached === undefined)) return
    this.#gathering = new AbortController()
    await clock.sleep(this.#unreached === undefined ? GATHER_MS : RETRY_MS, this.#gathering.signal)
    this.#gathering = undefined
    this.#unreached = undefined
  }

  async #compare(): Promise<void> {
    this.#attempts++
    try {
      const { displacedCount } = this.#parts.collisions
      await (displacedCount < JOB_RECORDS_MIN ? this.#compareHere() : this.#compareInJob())
    } catch (error) {
      if (!isEngineError(error, "REPOSITORY_FAILED")) throw error
      this.#unreached = error
    }
  }

  /** Compares the oldest of them, a handful. */
  async #compareHere(): Promise<void> {
    const { displaced } = this.#parts.collisions
    const checks: Promise<void>[] = []
    for (let at = displaced.oldestFrom(0); at >= 0 && checks.length < READS_AT_ONCE; ) {
      checks.push(this.#check(at))
      at = displaced.oldestFrom(at + 1)
    }
    await Promise.all(checks)
  }

  /** Compares as many as a batch takes. */
  async #compareInJob(): Promise<void> {
    const { collisions, clock } = this.#parts
    this.#batch ??= new DisplacedBatch(this.#parts)
    const batch = this.#batch
    try {
      for (let next = batch.fill(0); next >= 0; next = batch.fill(next)) await clock.nextTurn()
      const different = batch.count === 0 ? NONE : await this.#differentOf(batch)
      // That they are still displaced, or were moved by a merge: both may have changed meanwhile.
      let nextDifferent = 0
      for (let i = 0; i < batch.count; i++) {
        if (different[nextDifferent] === i) nextDifferent++
        else collisions.settle(batch.sequences[i]!, NO_KEY, true)
        if (i % SLICE_RECORDS === SLICE_RECORDS - 1) await clock.nextTurn()
      }
      await this.#checkAll(Array.from(different, (i) => batch.sequences[i]!))
      await this.#checkAll(batch.others)
    } finally {
      batch.clear()
    }
  }

  /**
   * Numbers of the records of the batch whose key is another than the one that the index has in their place. That one
   * is newer, and whatever is done to it later is noted in turn: equal ones need no second look.
   */
  async #differentOf(batch: DisplacedBatch): Promise<Uint32Array> {
    const input = batch.input()
    const { run, offset, keys, keyEnd } = input
    const transfer = [run.buffer, offset.buffer, keys.buffer, keyEnd.buffer] as ArrayBuffer[]
    try {
      return await this.#parts.executor.run(compareKeys, input, transfer, this.#closing.signal)
    } catch {
      // Whatever it was, it is met again, and told, when the records are read here: their run may lie elsewhere than in
      // a file, a thread may have died, the disk may be damaged.
      return Uint32Array.from({ length: batch.count }, (_, i) => i)
    }
  }

  async #checkAll(sequences: readonly number[]): Promise<void> {
    const { displaced } = this.#parts.collisions
    for (let at = 0; at < sequences.length && !this.#closing.signal.aborted; at += READS_AT_ONCE) {
      const some = sequences.slice(at, at + READS_AT_ONCE).filter((sequence) => displaced.has(sequence))
      await Promise.all(some.map((sequence) => this.#check(sequence)))
    }
  }

  /** Compares one, which is displaced. */
  async #check(sequence: number): Promise<void> {
    const { collisions, index, readKey } = this.#parts
    const { displaced } = collisions
    const h1 = displaced.h1(sequence)
    const h2 = displaced.h2(sequence)
    const key = await readKey(displaced.place(sequence))
    for (;;) {
      const place = index.get(h1, h2)
      if (place < 0) return collisions.settle(sequence, key, false)
      const read = readKey(place)
      const current = read instanceof Promise ? await read : read
      // While the disk was asked, the index may have moved on.
      if (index.get(h1, h2) !== place) continue
      const isSame = current.length === key.length && equalBytes(current, 0, key, 0, key.length)
      return collisions.settle(sequence, key, isSame)
    }
  }
}

const NONE = new Uint32Array(0)
/** Of a record that goes: nobody asks for its key. */
const NO_KEY = new Uint8Array(0)
