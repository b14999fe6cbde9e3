// What came of the frames of each session: part of a partition's state, so it is in every version, checkpoint and clean
// stop exactly as the records are, and comes back with them. Its memory is the table of snapshots/saved-sessions.ts
// itself: a seal copies it, 48 KiB at most.
//
// A frame has a number in its session, 1, 2, 3, …, and says how many right before it have no answer yet.
//
//        never come again          may come        this one
//   ──┬───────┬────────────────┬──────────────┬───────┬───►        oldest = sequence - unanswered
//     1                        oldest         sequence
//
//   sequence ≤ last     it came before, or those behind it went on without it: what came of it is in the table
//   sequence > last     the next one, when every number between `last` and it never comes again:
//                       oldest > last: `sequence` is `oldest`       otherwise: `sequence` is `last` + 1
//                       else it is out of order, and nothing is remembered: it is to come again
//
// Which frames need an entry in the log of durability `log`: those that were applied, and no others. Let a frame r be
// refused, and the table come up from the log without it. Either its answer came to the client: then later frames have an
// `oldest` above r, and r never comes again. Or it did not: then r comes again before them. When `last` is below r by then,
// r is the next one, nothing of it was applied, and it may be now: nobody was told otherwise. When a later frame was
// applied, `last` is above r, its outcome is 0, and it is refused again.
//
// A session that is not known is one whose last frame was 0. When the table has ever forgotten one, a frame that may have
// come before is not taken from it: nobody knows whether it was applied.

import { assert } from "../base/assert.ts"
import { equalBytes } from "../base/bytes.ts"
import { EngineError } from "../base/error.ts"
import type { SequencedFrame } from "../engine.ts"
import {
  LAST_OFFSET,
  OUTCOMES_KEPT,
  OUTCOMES_OFFSET,
  readCount,
  type SavedSessions,
  SESSION_BYTES,
  SESSION_ENTRY_BYTES,
  SESSIONS_MAX,
  USE_OFFSET,
  writeCount,
} from "../snapshots/saved-sessions.ts"

export const outcomes = { none: 0, applied: 1, conditionFailed: 2, refused: 3 } as const
export type Outcome = (typeof outcomes)[keyof typeof outcomes]

/** Which frame it is. */
export type FrameName = Pick<SequencedFrame, "session" | "sequence">

const ENTRIES_FIRST = 16

export class SessionTable {
  #bytes: Uint8Array
  #view: DataView
  /** Where the entry of a session begins, by its bytes as one character each. */
  readonly #places = new Map<string, number>()
  #hasForgotten: boolean
  #useCount = 0
  /** Of the session that was looked up last: a name costs as much as all the rest. */
  #lastPlace: number | undefined

  constructor(saved?: SavedSessions) {
    this.#hasForgotten = saved?.hasForgotten ?? false
    const table = Buffer.from(saved?.table ?? "", "base64")
    this.#bytes = new Uint8Array(Math.max(table.length, ENTRIES_FIRST * SESSION_ENTRY_BYTES))
    this.#bytes.set(table)
    this.#view = new DataView(this.#bytes.buffer)
    for (let at = 0; at < table.length; at += SESSION_ENTRY_BYTES) {
      this.#places.set(nameOf(this.#bytes.subarray(at, at + SESSION_BYTES)), at)
      this.#useCount = Math.max(this.#useCount, readCount(this.#view, at + USE_OFFSET))
    }
  }

  /** Sessions that it knows. */
  get size(): number {
    return this.#places.size
  }

  /** The table of this moment; undefined when no session ever wrote to the state. */
  describe(): SavedSessions | undefined {
    if (this.#places.size === 0 && !this.#hasForgotten) return undefined
    const table = Buffer.from(this.#bytes.buffer, 0, this.#places.size * SESSION_ENTRY_BYTES)
    return { hasForgotten: this.#hasForgotten, table: table.toString("base64") }
  }

  /**
   * What came of the frame when it came before; undefined: it is the next one of its session.
   * @throws EngineError `FRAME_OUT_OF_ORDER`, `SESSION_EXPIRED`; the table does not change
   */
  find({ session, sequence, unanswered, resent }: SequencedFrame): Outcome | undefined {
    const place = this.#placeOf(session)
    const last = place === undefined ? 0 : readCount(this.#view, place + LAST_OFFSET)
    if (place !== undefined && sequence <= last) {
      if (sequence > last - OUTCOMES_KEPT) return this.#outcome(place, sequence)
      throw new EngineError(
        "SESSION_EXPIRED",
        `frame ${sequence} of the session came too late: of those before ${last - OUTCOMES_KEPT + 1} nobody knows ` +
          `any more whether they were applied`,
      )
    }
    if (place === undefined && resent && this.#hasForgotten) {
      throw new EngineError(
        "SESSION_EXPIRED",
        "the partition has forgotten the session: nobody knows whether the frame was applied when it came before",
      )
    }
    const oldest = sequence - unanswered
    if (oldest > last ? unanswered === 0 : sequence === last + 1) return undefined
    throw new EngineError(
      "FRAME_OUT_OF_ORDER",
      `frame ${sequence} of the session came before frame ${Math.max(oldest, last + 1)}: send them in order`,
    )
  }

  /** Remembers what came of a frame, unless it is too old for that. */
  note({ session, sequence }: FrameName, outcome: Outcome): void {
    const place = this.#placeOf(session) ?? this.#begin(session)
    const last = readCount(this.#view, place + LAST_OFFSET)
    if (sequence <= last - OUTCOMES_KEPT) return
    if (sequence > last) {
      const skipped = Math.max(last + 1, sequence - OUTCOMES_KEPT)
      for (let each = skipped; each < sequence; each++) this.#setOutcome(place, each, outcomes.none)
      writeCount(this.#view, place + LAST_OFFSET, sequence)
    }
    this.#setOutcome(place, sequence, outcome)
    writeCount(this.#view, place + USE_OFFSET, ++this.#useCount)
  }

  /** What is remembered of a frame that is not the next one. */
  outcomeOf({ session, sequence }: FrameName): Outcome | undefined {
    const place = this.#placeOf(session)
    if (place === undefined) return undefined
    const last = readCount(this.#view, place + LAST_OFFSET)
    return sequence <= last && sequence > last - OUTCOMES_KEPT ? this.#outcome(place, sequence) : undefined
  }

  #placeOf(session: Uint8Array): number | undefined {
    const last = this.#lastPlace
    if (last !== undefined && equalBytes(session, 0, this.#bytes, last, SESSION_BYTES)) return last
    const place = this.#places.get(nameOf(session))
    if (place !== undefined) this.#lastPlace = place
    return place
  }

  #outcome(place: number, sequence: number): Outcome {
    const bit = 2 * (sequence % OUTCOMES_KEPT)
    return ((this.#bytes[place + OUTCOMES_OFFSET + (bit >>> 3)]! >>> (bit & 7)) & 3) as Outcome
  }

  #setOutcome(place: number, sequence: number, outcome: Outcome): void {
    const bit = 2 * (sequence % OUTCOMES_KEPT)
    const at = place + OUTCOMES_OFFSET + (bit >>> 3)
    this.#bytes[at] = (this.#bytes[at]! & ~(3 << (bit & 7))) | (outcome << (bit & 7))
  }

  /** An entry for a new session; the place of the one that was idle for longest when there is no other. */
  #begin(session: Uint8Array): number {
    assert(session.length === SESSION_BYTES, "a session has 16 bytes")
    const place = this.#places.size < SESSIONS_MAX ? this.#nextPlace() : this.#forgetIdlest()
    this.#bytes.fill(0, place, place + SESSION_ENTRY_BYTES)
    this.#bytes.set(session, place)
    this.#places.set(nameOf(session), place)
    return place
  }

  #nextPlace(): number {
    const place = this.#places.size * SESSION_ENTRY_BYTES
    if (place === this.#bytes.length) {
      const grown = new Uint8Array(2 * place)
      grown.set(this.#bytes)
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    return place
  }

  #forgetIdlest(): number {
    let idlest = 0
    let leastUse = Number.POSITIVE_INFINITY
    for (let at = 0; at < SESSIONS_MAX * SESSION_ENTRY_BYTES; at += SESSION_ENTRY_BYTES) {
      const use = readCount(this.#view, at + USE_OFFSET)
      if (use >= leastUse) continue
      leastUse = use
      idlest = at
    }
    this.#places.delete(nameOf(this.#bytes.subarray(idlest, idlest + SESSION_BYTES)))
    this.#hasForgotten = true
    return idlest
  }
}

/** The bytes of a session as a key of a map. */
export function nameOf(session: Uint8Array): string {
  return Buffer.from(session.buffer, session.byteOffset, session.length).toString("latin1")
}
