// What a frame of operations asks of the engine. However its reads and writes are mixed, the engine is asked twice: one
// read of many keys, one batch of records. A read whose key is written before it in the frame is answered from the frame.
//
//   operations         set a=1   get b   set c=2   get a   get d   set d=3
//   1. read together             b                         d                   the state before the frame
//   2. one batch       a=1               c=2                       d=3         all or none, one entry of the log
//   from the frame                                 a=1
//
// Cost: a pass over the frame that checks every operation, and a view for each key to read. Only where reads are mixed
// with writes there is a second pass, which copies the records to write into one buffer and remembers their keys.

import {
  decodeOperation,
  KEY_BYTES_MAX,
  partitionOfKey,
  READ_FLAG,
  RecordCursor,
  VarveError,
} from "@varve/proto"
import { type ShardStore, wrongPartition } from "../shard/shard-store.ts"
import { LatestRecords } from "./latest-records.ts"
import { ENTRIES_PER_MESSAGE_MAX } from "./message-bounds.ts"

/** Operations that are refused by themselves; a frame with more is refused whole, for its answer must fit a message. */
const REFUSALS_MAX = 256
/** A frame with more to write gets a buffer of its own. */
const BATCH_KEPT_BYTES_MAX = 1024 * 1024

const EMPTY = new Uint8Array(0)
const NONE: ReadonlyMap<number, Uint8Array> = new Map()

/** An operation that no state would let happen. */
export interface Refusal {
  /** Its place in the frame. */
  readonly index: number
  readonly error: VarveError
}

export interface OperationPlan {
  /** The frame's operations. */
  readonly list: Uint8Array
  /** Of the reads in their order: views of the frame. Empty: the read is refused. */
  readonly keys: readonly Uint8Array[]
  /** Values of reads that the engine is not asked for, by the read's place among the reads: views of the frame. */
  readonly own: ReadonlyMap<number, Uint8Array>
  /** Records to write, until the next plan is made. */
  readonly batch: Uint8Array
  readonly writeCount: number
  /** Ascending. */
  readonly refusals: readonly Refusal[]
}

export class OperationPlanner {
  readonly #cursor = new RecordCursor()
  readonly #written = new LatestRecords()
  #buffer = EMPTY

  /** @throws VarveError `RECORD_MALFORMED`, `RECORD_FLAGS_UNSUPPORTED`, `REQUEST_INVALID`, or one of the refusals */
  plan(store: ShardStore, partition: number, list: Uint8Array): OperationPlan {
    const cursor = this.#cursor
    const keys: Uint8Array[] = []
    const refusals: Refusal[] = []
    let operationCount = 0
    let refusedReads = 0
    for (let at = 0; at < list.length; at = cursor.end) {
      if (!decodeOperation(list, at, list.length, cursor)) throw malformed(operationCount, at, list)
      const error = refusalOf(store, partition, list, cursor, operationCount)
      if (error !== undefined) {
        if (refusals.length === REFUSALS_MAX) throw tooManyRefused(error)
        refusals.push({ index: operationCount, error })
      }
      if (cursor.flags === READ_FLAG) {
        if (error !== undefined) refusedReads++
        keys.push(error === undefined ? list.subarray(cursor.keyStart, cursor.keyEnd) : EMPTY)
      }
      if (++operationCount > ENTRIES_PER_MESSAGE_MAX) {
        throw new VarveError(
          "REQUEST_INVALID",
          `more than ${ENTRIES_PER_MESSAGE_MAX} operations in one frame: send fewer at once`,
        )
      }
    }
    const writeCount = operationCount - keys.length - (refusals.length - refusedReads)
    const plan = { list, keys, writeCount, refusals, own: NONE, batch: EMPTY }
    if (refusals.length === 0 && (writeCount === 0 || keys.length === 0)) {
      return writeCount === 0 ? plan : { ...plan, batch: list }
    }
    return { ...plan, ...this.#sort(list, plan) }
  }

  /** The second pass: reads and writes apart. */
  #sort(
    list: Uint8Array,
    { keys, writeCount, refusals }: OperationPlan,
  ): Pick<OperationPlan, "own" | "batch"> {
    const cursor = this.#cursor
    const written = this.#written
    const buffer = this.#bufferOf(list.length)
    const own = new Map<number, Uint8Array>()
    written.begin(list, writeCount)
    let batchBytes = 0
    let index = 0
    let read = 0
    let refused = 0
    // Records to write that lie side by side are copied together.
    let runStart = 0
    let runEnd = 0
    const copyRun = (): void => {
      if (runEnd > runStart) buffer.set(list.subarray(runStart, runEnd), batchBytes)
      batchBytes += runEnd - runStart
    }
    for (let at = 0; at < list.length; at = cursor.end, index++) {
      decodeOperation(list, at, list.length, cursor)
      const isRefused = refusals[refused]?.index === index
      if (isRefused) refused++
      if (cursor.flags === READ_FLAG) {
        const value = isRefused ? EMPTY : written.valueOf(cursor)
        if (value !== undefined) own.set(read, value)
        read++
      } else if (!isRefused) {
        // What no read comes behind need not be remembered.
        if (read < keys.length) written.put(cursor)
        if (cursor.start !== runEnd) {
          copyRun()
          runStart = cursor.start
        }
        runEnd = cursor.end
      }
    }
    copyRun()
    written.end()
    return { own, batch: buffer.subarray(0, batchBytes) }
  }

  #bufferOf(bytes: number): Uint8Array {
    if (bytes > BATCH_KEPT_BYTES_MAX) return new Uint8Array(bytes)
    if (bytes > this.#buffer.length) this.#buffer = new Uint8Array(Math.min(BATCH_KEPT_BYTES_MAX, 2 * bytes))
    return this.#buffer
  }
}

/** Whether a frame asks for any value. */
export function hasReads(list: Uint8Array): boolean {
  const cursor = new RecordCursor()
  for (let at = 0; at < list.length; at = cursor.end) {
    if (!decodeOperation(list, at, list.length, cursor)) return false
    if (cursor.flags === READ_FLAG) return true
  }
  return false
}

/** Why the operation that `cursor` stands on cannot happen, whatever the state. @throws when its length is not known */
function refusalOf(
  { settings, partitions }: ShardStore,
  partition: number,
  list: Uint8Array,
  { flags, keyStart, keyEnd, valueStart, end }: RecordCursor,
  index: number,
): VarveError | undefined {
  if (flags !== 0 && flags !== READ_FLAG) {
    // Where the next record begins depends on them.
    throw new VarveError(
      "RECORD_FLAGS_UNSUPPORTED",
      `operation ${index} has flags ${flags}; known are 0, a record to write, and ${READ_FLAG}, a key to read`,
    )
  }
  if (keyEnd === keyStart) return new VarveError("KEY_EMPTY", "a key has at least 1 byte")
  if (keyEnd - keyStart > KEY_BYTES_MAX) {
    return new VarveError(
      "KEY_TOO_LARGE",
      `the key has ${keyEnd - keyStart} bytes; at most ${KEY_BYTES_MAX} are allowed`,
    )
  }
  const valueBytes = end - valueStart
  if (flags === READ_FLAG && valueBytes > 0) {
    return new VarveError("RECORD_MALFORMED", "a key to read carries no value")
  }
  if (valueBytes > settings.valueBytesMax) {
    return new VarveError(
      "VALUE_TOO_LARGE",
      `the value has ${valueBytes} bytes; at most ${settings.valueBytesMax} are allowed (setting valueBytesMax)`,
    )
  }
  if (settings.partitioning === "hash" && partitions.length > 1) {
    const owner = partitionOfKey(list, partitions.length, keyStart, keyEnd)
    if (owner !== partition) return wrongPartition(partition, owner)
  }
  return undefined
}

/** The frame's error, when an answer would not name all that are refused: the reason is of the one too many. */
function tooManyRefused({ reason, code, message, metadata }: VarveError): VarveError {
  const text = `more than ${REFUSALS_MAX} operations of the frame cannot happen, so none of it did; one of them: ${message}`
  return new VarveError(reason, text, { code, metadata })
}

function malformed(index: number, at: number, list: Uint8Array): VarveError {
  return new VarveError(
    "RECORD_MALFORMED",
    `operation ${index}, at byte ${at} of ${list.length}, is not a whole record`,
  )
}
