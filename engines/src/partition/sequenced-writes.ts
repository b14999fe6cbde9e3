// Writes that may come twice and are applied once.
//
//   frame ──► table: came before? ── yes ──► what came of it then; while that is not settled, the same promise
//                │ no, it is the next one
//                ▼
//             admitted, checked, applied ──► noted as applied, in the turn in which its records are, and in its log entry
//                │ refused
//                └──► noted as refused: a copy of it that is still on its way must not be applied behind the answer
//
// An answer after which the client sends the same frame again leaves no trace: FRAME_OUT_OF_ORDER, RESTORE_IN_PROGRESS
// (the table that would keep the trace is being replaced) and ENGINE_CLOSED (it is on disk already).
//
// A conditional write that waits for the disk is noted as come, with nothing known, and decided later. A state that is
// sealed in between knows of it what is true: it was not applied. So a stop, or a restore of such a state, leaves a trace
// of it all the same: it is refused when it comes again, for frames behind it may have been applied.

import { EngineError, isEngineError } from "../base/error.ts"
import type { SequencedFrame } from "../engine.ts"
import { SEQUENCE_MAX, SESSION_BYTES } from "../snapshots/saved-sessions.ts"
import { type FrameName, nameOf, type Outcome, outcomes, type SessionTable } from "./session-table.ts"
import type { WriteGate } from "./write-gate.ts"

export class SequencedWrites {
  readonly #tableNow: () => SessionTable
  readonly #gate: WriteGate
  #table: SessionTable
  /**
   * Frames of the present table that are noted and not settled; one that lost its durability stays. As many as may wait
   * for the log, for conditions and for merges.
   */
  #pending = new Map<string, Promise<void>>()
  #resentCount = 0

  /** @param tableNow of the state that is served */
  constructor(tableNow: () => SessionTable, gate: WriteGate) {
    this.#tableNow = tableNow
    this.#gate = gate
    this.#table = tableNow()
  }

  /** Frames that were here before, and were answered from what is remembered of them. */
  get resentCount(): number {
    return this.#resentCount
  }

  /**
   * Lets `write` apply the frame if it was not here before; `write` notes it as applied with its records. Returns a
   * promise as `write` did when it applied the frame, and undefined when that is over.
   * @throws EngineError `FRAME_OUT_OF_ORDER`, `SESSION_EXPIRED`, `FRAME_REFUSED`, `CONDITION_FAILED`, `RESTORE_IN_PROGRESS`,
   * and what `frame.admit` and `write` throw
   */
  apply(frame: SequencedFrame, write: () => Promise<void> | undefined): Promise<void> | undefined {
    checkFrame(frame)
    this.#gate.checkReadable()
    const table = this.#presentTable()
    const outcome = table.find(frame)
    if (outcome !== undefined) return this.#answer(frame, outcome)
    if (this.#gate.isHeld) {
      throw new EngineError(
        "RESTORE_IN_PROGRESS",
        "a restore is about to replace the state: send the frame again",
      )
    }
    let pending: Promise<void> | undefined
    try {
      frame.admit?.()
      pending = write()
    } catch (error) {
      noteRefusal(table, frame, error)
      throw error
    }
    if (table.outcomeOf(frame) === undefined) {
      table.note(frame, pending === undefined ? outcomes.applied : outcomes.none)
    }
    if (pending !== undefined) this.#keep(frame, pending, table)
    return pending
  }

  #presentTable(): SessionTable {
    const table = this.#tableNow()
    if (table === this.#table) return table
    this.#table = table
    this.#pending = new Map()
    return table
  }

  #answer(frame: SequencedFrame, outcome: Outcome): Promise<void> | undefined {
    this.#resentCount++
    const pending = this.#pending.get(pendingName(frame))
    if (pending !== undefined || outcome === outcomes.applied) return pending
    if (outcome === outcomes.conditionFailed) {
      throw new EngineError("CONDITION_FAILED", "a condition did not hold when the frame first came")
    }
    throw new EngineError(
      "FRAME_REFUSED",
      "the frame was refused when it first came, or given up; it is not applied",
    )
  }

  #keep({ session, sequence }: SequencedFrame, pending: Promise<void>, table: SessionTable): void {
    // The frame's own bytes are the caller's.
    const frame = { session: Uint8Array.from(session), sequence }
    const name = pendingName(frame)
    const all = this.#pending
    all.set(name, pending)
    pending.then(
      () => {
        all.delete(name)
        if (table.outcomeOf(frame) === outcomes.none) table.note(frame, outcomes.applied)
      },
      (error: unknown) => {
        // Applied, and not durable: whoever asks again hears the same.
        if (table.outcomeOf(frame) === outcomes.applied) return
        all.delete(name)
        noteRefusal(table, frame, error)
      },
    )
  }
}

function noteRefusal(table: SessionTable, frame: FrameName, error: unknown): void {
  if (isEngineError(error, "ENGINE_CLOSED") || isEngineError(error, "RESTORE_IN_PROGRESS")) return
  const isCondition = isEngineError(error, "CONDITION_FAILED")
  table.note(frame, isCondition ? outcomes.conditionFailed : outcomes.refused)
}

function pendingName({ session, sequence }: FrameName): string {
  return nameOf(session) + sequence
}

function checkFrame({ session, sequence, unanswered }: SequencedFrame): void {
  const isPlace = Number.isInteger(unanswered) && unanswered >= 0 && unanswered < sequence
  if (session.length === SESSION_BYTES && Number.isInteger(sequence) && sequence <= SEQUENCE_MAX && isPlace)
    return
  throw new EngineError(
    "SETTING_INVALID",
    `no frame of a session: ${session.length} bytes of session (16), sequence ${sequence} (1 to 2^53 - 1), ` +
      `${unanswered} unanswered before it`,
  )
}
