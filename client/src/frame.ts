// A frame on its way: operations of one partition, whose they are, and what the answer means to each of them.
//
//   open ── seal ──► sealed ── send ──► sent ── answer ──► done
//                      ▲                  │ the connection broke
//                      └──────────────────┘ without a session reads only: nobody knows whether writes were applied
//
//   work                 whose                                        fails
//   operations           gets, getManys and single sets, in any mix   each by itself
//   writes               writes of several records                    as a whole
//   conditionalWrites    one call's: its condition fails the frame    as a whole

import {
  decodeOperation,
  type FrameError,
  type OperationResults,
  type PipelineRequest,
  RecordCursor,
  RecordWriter,
  VarveError,
} from "@varve/proto"
import { HEAD_BYTES_MAX } from "./frame-message.ts"
import type { Lane } from "./lane.ts"
import type { PointCall } from "./point-call.ts"
import { toldError } from "./sent-again.ts"
import { countValues, ValueSource } from "./value-source.ts"

export type Work = "operations" | "writes" | "conditionalWrites"

/** A call of the frame whose records from `skip` on are wanted, as records of `call`. */
interface Wanted {
  readonly call: PointCall
  readonly skip: number
}

export class Frame {
  readonly lane: Lane
  readonly work: Work
  readonly calls: PointCall[] = []
  readonly records: RecordWriter
  /** What its keys and values weigh against the limit of bytes in flight. */
  bytes = 0
  /** It counts there: its connection has it. */
  hasLeft = false
  /** Calls that had no room in flight when they came. */
  waitingCount = 0
  /** Order of sending on its connection. */
  order = 0
  sent = false
  /** Its number in the session and partition; 0: none yet. */
  sequence = 0
  /** It was sent, and the connection broke: it is sent again with the same bytes, if at all. */
  mayBeApplied = false
  /** It counts among those of its lane that may get numbers. */
  isHandedOver = false
  /** Its calls have the daemon's answer: its message was sent, and nobody reads its records any more. */
  answered = false
  /** Calls that were given up while their records lie in here. */
  givenUpCount = 0
  /** Called when nothing of it is pending any more. */
  onDone: (() => void)[] = []
  /** In place of `records`, when some of them were taken out. */
  #kept: Uint8Array | undefined
  #expected: RecordWriter | undefined
  #conditions: Uint8Array | undefined
  #hasWrites = false

  /** @param records with headroom for `encodeFrameMessage` */
  constructor(lane: Lane, work: Work, records = new RecordWriter(HEAD_BYTES_MAX)) {
    this.lane = lane
    this.work = work
    this.records = records
  }

  /** Conditions, of conditional writes. */
  get expected(): RecordWriter {
    this.#expected ??= new RecordWriter()
    return this.#expected
  }

  /** The records, once no more are added. */
  get payload(): Uint8Array {
    return this.#kept ?? this.records.written
  }

  /** Whether its message may be put before its records, where they are. */
  get hasHeadroom(): boolean {
    return this.#kept === undefined
  }

  /** What the wire carries. */
  get message(): NonNullable<PipelineRequest["work"]> {
    const { work, payload } = this
    if (work !== "conditionalWrites") return { $case: work, value: payload }
    // Kept: a frame that the daemon gave back is sent again.
    this.#conditions ??= this.expected.take()
    return { $case: work, value: { records: payload, expected: this.#conditions } }
  }

  /** Whether any of its records is to be written. */
  get hasWrites(): boolean {
    return this.#hasWrites
  }

  /** Whether its writes may be applied though its calls fail. */
  get isFateUnknown(): boolean {
    return this.sent || this.mayBeApplied
  }

  /** Whether anybody waits for its answer. */
  get isWanted(): boolean {
    return this.calls.some(({ settled }) => !settled)
  }

  /** The records just added are the call's. */
  add(call: PointCall): void {
    this.calls.push(call)
    if (!call.isRead) this.#hasWrites = true
    call.frame = this
  }

  /** Takes out the records of calls that were given up, or all or none of them. @returns false when none are left */
  prune(): boolean {
    if (this.givenUpCount === 0) return true
    if (this.mayBeApplied) return this.isWanted
    this.givenUpCount = 0
    const kept = this.#select((call) => (call.settled ? undefined : { call, skip: 0 }))
    for (const call of kept.calls) call.frame = this
    this.calls.splice(0, this.calls.length, ...kept.calls)
    this.#hasWrites = kept.hasWrites
    this.#kept = kept.payload
    // A conditional frame is one call's, and keeps all or nothing.
    if (!this.hasLeft && this.work !== "conditionalWrites") this.bytes = kept.records.bytes
    return this.calls.length > 0
  }

  /** Fails its writes and takes them out. @returns false when no reads are left */
  loseWrites(error: VarveError): boolean {
    for (const call of this.calls) {
      if (!call.isRead) call.giveUp(error)
    }
    return this.prune()
  }

  /**
   * Gives each call what came of its operations. Returns a frame of the reads that the answer had no room for;
   * `undefined` when there are none. When the answer does not fit the frame, all calls fail and none gets a value.
   */
  answerOperations({ values, errors, writesError }: OperationResults): Frame | undefined {
    const valueCount = countValues(values)
    const readCount = this.calls.reduce((sum, call) => sum + (call.isRead ? call.recordCount : 0), 0)
    if (this.work !== "operations" || valueCount < 0 || valueCount > readCount) {
      this.fail(new VarveError("INTERNAL", "the daemon answered what does not fit the operations"))
      return undefined
    }
    if (valueCount === 0 && readCount > 0 && errors.length === 0) {
      this.fail(new VarveError("INTERNAL", "the daemon answered no value of those asked for"))
      return undefined
    }
    this.answered = true
    const source = new ValueSource(values)
    let unread: Map<PointCall, Wanted> | undefined
    let valuesLeft = valueCount
    let operation = 0
    let nextError = 0
    for (const call of this.calls) {
      operation += call.recordCount
      let error: FrameError | undefined
      for (; nextError < errors.length && errors[nextError]!.index < operation; nextError++) {
        error ??= errors[nextError]!.error
      }
      if (!call.isRead) {
        error ??= writesError
        if (error === undefined) call.written()
        else call.fail(toldError(error, this.mayBeApplied))
        continue
      }
      const count = Math.min(call.recordCount, valuesLeft)
      valuesLeft -= count
      if (error !== undefined) call.fail(toldError(error, false))
      const rest = call.read(source, count)
      if (rest === undefined) continue
      unread ??= new Map()
      unread.set(call, { call: rest, skip: count })
    }
    return unread === undefined ? undefined : this.#splitOff(unread)
  }

  /** Tells each call that its records were applied. */
  answerWritten(): void {
    if (this.work !== "operations") {
      this.answered = true
      for (const call of this.calls) call.written()
    } else this.fail(new VarveError("INTERNAL", "the daemon answered operations as if they were one write"))
  }

  /** @param ofReads what those are told that only read */
  fail(error: unknown, ofReads: unknown = error): void {
    for (const call of this.calls) call.fail(call.isRead ? ofReads : error)
  }

  #splitOff(unread: ReadonlyMap<PointCall, Wanted>): Frame {
    const rest = this.#select((call) => unread.get(call))
    rest.hasLeft = true
    rest.bytes = Math.min(this.bytes, rest.records.bytes)
    this.bytes -= rest.bytes
    rest.onDone = this.onDone
    this.onDone = []
    return rest
  }

  /** A new frame with the records that are wanted, in order. */
  #select(wantedOf: (call: PointCall) => Wanted | undefined): Frame {
    const selected = new Frame(this.lane, this.work)
    const { payload } = this
    const cursor = new RecordCursor()
    let at = 0
    for (const call of this.calls) {
      const wanted = wantedOf(call)
      for (let record = 0; record < call.recordCount; record++) {
        if (!decodeOperation(payload, at, payload.length, cursor))
          throw new Error("a frame holds whole records")
        at = cursor.end
        if (wanted !== undefined && record >= wanted.skip) {
          selected.records.copy(payload, cursor.start, cursor.end)
        }
      }
      if (wanted !== undefined) selected.add(wanted.call)
    }
    return selected
  }
}
