// What an entry of a partition's log holds.
//
//   entry := batch of records (base/record.ts), as it came
//          | 0 u8 | session, 16 bytes | sequence u64 | batch of records        of a frame that may come again
//
// No batch begins with 0: a key has at least one byte. Little-endian.

import { EngineError } from "../base/error.ts"
import { readCount, SESSION_BYTES, writeCount } from "../snapshots/saved-sessions.ts"
import type { FrameName } from "./session-table.ts"

const SESSION_OFFSET = 1
const SEQUENCE_OFFSET = SESSION_OFFSET + SESSION_BYTES
const FRAME_HEAD_BYTES = SEQUENCE_OFFSET + 8

export interface FramedBatch {
  /** Undefined: the batch was applied each time it came. */
  readonly frame: FrameName | undefined
  readonly batch: Uint8Array
}

/** What stands before the batch of a frame. */
export function encodeFrameHead({ session, sequence }: FrameName): Uint8Array {
  const head = new Uint8Array(FRAME_HEAD_BYTES)
  head.set(session, SESSION_OFFSET)
  writeCount(new DataView(head.buffer), SEQUENCE_OFFSET, sequence)
  return head
}

/** The entry in `bytes`, as views of them. @throws EngineError `DATA_LOSS` */
export function decodeLogEntry(bytes: Uint8Array): FramedBatch {
  if (bytes[0] !== 0) return { frame: undefined, batch: bytes }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const sequence = bytes.length < FRAME_HEAD_BYTES ? Number.NaN : readCount(view, SEQUENCE_OFFSET)
  if (!(sequence >= 1)) throw new EngineError("DATA_LOSS", "an entry of the log names no whole frame")
  const session = bytes.subarray(SESSION_OFFSET, SEQUENCE_OFFSET)
  return { frame: { session, sequence }, batch: bytes.subarray(FRAME_HEAD_BYTES) }
}
