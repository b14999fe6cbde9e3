// A frame on its way: records of one partition, all to read or all to write, and whose they are.
//
//   open ── seal ──► sealed ── send ──► sent ── answer ──► done
//                      ▲                  │ the connection broke
//                      └── reads only ────┘ (writes fail: nobody knows whether they were applied)

import { decodeRecord, type PipelineRequest, RecordCursor, RecordWriter, VarveError } from "@varve/proto"
import type { Lane } from "./lane.ts"
import type { PointCall } from "./point-call.ts"
import { countValues, ValueSource } from "./value-source.ts"

/** A frame of conditional writes is one call's: a condition that does not hold fails the frame. */
export type Work = "reads" | "writes" | "conditionalWrites"

export class Frame {
  readonly lane: Lane
  readonly work: Work
  readonly calls: PointCall[] = []
  readonly records: RecordWriter
  /** Conditions, of conditional writes. */
  readonly expected = new RecordWriter()
  /** What its keys and values weigh against the limit of bytes in flight. */
  bytes = 0
  /** Order of sending on its connection. */
  sequence = 0
  sent = false
  /** Its calls have the daemon's answer: its message was sent, and nobody reads its records any more. */
  answered = false
  /** Calls that were given up while their records lie in here. */
  givenUpCount = 0
  /** Called when nothing of it is pending any more. */
  onDone: (() => void)[] = []
  /** In place of `records`, when some of them were taken out. */
  #kept: Uint8Array | undefined
  #conditions: Uint8Array | undefined

  constructor(lane: Lane, work: Work, records = new RecordWriter()) {
    this.lane = lane
    this.work = work
    this.records = records
  }

  /** The records, once no more are added. */
  get payload(): Uint8Array {
    return this.#kept ?? this.records.written
  }

  /** What the wire carries. */
  get message(): NonNullable<PipelineRequest["work"]> {
    const { work, payload } = this
    if (work !== "conditionalWrites") return { $case: work, value: payload }
    // Kept: a frame that the daemon gave back is sent again.
    this.#conditions ??= this.expected.take()
    return { $case: work, value: { records: payload, expected: this.#conditions } }
  }

  /** Takes out the records of calls that were given up. @returns false when none are left */
  prune(): boolean {
    if (this.givenUpCount === 0) return true
    this.#keep((call) => !call.settled)
    this.givenUpCount = 0
    return this.calls.length > 0
  }

  /** Gives each call its values; when they do not fit the frame, all calls fail and none gets a value. */
  answerValues(values: Uint8Array): void {
    const keyCount = this.calls.reduce((sum, call) => sum + call.recordCount, 0)
    if (this.work !== "reads" || countValues(values) !== keyCount) {
      this.fail(new VarveError("INTERNAL", "the daemon answered values that do not fit the keys"))
      return
    }
    this.answered = true
    const source = new ValueSource(values)
    for (const call of this.calls) call.read(source)
  }

  /** Tells each call that its records were applied. */
  answerWritten(): void {
    if (this.work !== "reads") {
      this.answered = true
      for (const call of this.calls) call.written()
    } else this.fail(new VarveError("INTERNAL", "the daemon answered a read as if it were a write"))
  }

  fail(error: unknown): void {
    for (const call of this.calls) call.fail(error)
  }

  /**
   * Two frames with half the keys each, in order, when the answer to all would be too large; `undefined` for one
   * key. The frame itself is empty then.
   */
  split(): [Frame, Frame] | undefined {
    if (this.work !== "reads" || !this.prune()) return undefined
    if (this.calls.length === 1) {
      const halves = this.calls[0]!.split()
      if (halves === undefined) return undefined
      this.calls.splice(0, 1, ...halves)
    }
    const middle = this.calls.length >>> 1
    const first = new Frame(this.lane, this.work)
    const second = new Frame(this.lane, this.work)
    this.#deal((index) => (index < middle ? first : second))
    first.bytes = Math.floor(this.bytes / 2)
    second.bytes = this.bytes - first.bytes
    second.onDone = this.onDone
    this.bytes = 0
    this.onDone = []
    return [first, second]
  }

  #keep(keep: (call: PointCall) => boolean): void {
    const kept = new Frame(this.lane, this.work)
    this.#deal((_index, call) => (keep(call) ? kept : undefined))
    for (const call of kept.calls) call.frame = this
    this.calls.splice(0, this.calls.length, ...kept.calls)
    this.#kept = kept.payload
  }

  /** Moves each call with its records to the frame that `target` names. */
  #deal(target: (index: number, call: PointCall) => Frame | undefined): void {
    const payload = this.payload
    const cursor = new RecordCursor()
    let at = 0
    this.calls.forEach((call, index) => {
      const frame = target(index, call)
      if (frame !== undefined) {
        frame.calls.push(call)
        call.frame = frame
      }
      for (let record = 0; record < call.recordCount; record++) {
        if (!decodeRecord(payload, at, payload.length, cursor)) throw new Error("a frame holds whole records")
        at = cursor.end
        frame?.records.add(
          payload.subarray(cursor.keyStart, cursor.keyEnd),
          payload.subarray(cursor.valueStart, cursor.end),
        )
      }
    })
  }
}
