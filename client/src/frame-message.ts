// A frame as the message that carries it. The generated encoder makes an object a field and copies the records twice; here
// they stay where they are, and the other fields, which are few and short, are put before them. Fields of a message may
// stand in any order.
//
//   buffer of the frame's records   │      free      │ id store … 42 length │ record record … │
//                                   ├── HEAD_BYTES_MAX ────────────────────┤
//                                                    └────────── message ───────────────────┘

import { PipelineRequest } from "@varve/proto"

/** First bytes of the fields (state_backend.proto): field number, and whether a number follows or a length and bytes. */
const tags = {
  ...{ id: (1 << 3) | 0, store: (2 << 3) | 2, partition: (3 << 3) | 0, lineage: (6 << 3) | 2 },
  ...{ reads: (4 << 3) | 2, writes: (5 << 3) | 2, operations: (8 << 3) | 2 },
  ...{ session: (9 << 3) | 2, sequence: (10 << 3) | 0, unanswered: (11 << 3) | 0, resent: (12 << 3) | 0 },
} as const

/** Texts and sessions up to here have a length of one byte; longer ones are left to the generated encoder. */
const SHORT_BYTES_MAX = 127
/** Of a character in UTF-8, a UTF-16 unit of it. */
const UTF8_BYTES_MAX = 3
/** Of all fields but the work: three short ones, and numbers of up to ten bytes. */
export const HEAD_BYTES_MAX = 512

const head = Buffer.allocUnsafeSlow(HEAD_BYTES_MAX)

/** The frame's place in a session; no session: it is applied each time it comes. */
export interface FramePlace {
  readonly session: Uint8Array
  readonly sequence: number
  readonly unanswered: number
  readonly resent: boolean
}

/** The fields of a `PipelineRequest`; a sequence is a plain number, and the place an object that is not copied. */
export interface FrameMessage {
  readonly id: number
  readonly store: string
  readonly partition: number
  readonly work: PipelineRequest["work"]
  readonly lineage: string
  readonly place: FramePlace
  /** `HEAD_BYTES_MAX` bytes before the records in their buffer are free; the message is then a view of that buffer. */
  readonly hasHeadroom: boolean
}

/** The message. With headroom its bytes stay while the buffer does; without, the records may change afterwards. */
export function encodeFrameMessage(message: FrameMessage): Buffer {
  const { id, partition, work, store, lineage, place } = message
  const { session, sequence } = place
  const textLength = Math.max(store.length, lineage.length)
  const isShort = textLength * UTF8_BYTES_MAX <= SHORT_BYTES_MAX && session.length <= SHORT_BYTES_MAX
  if (work === undefined || work.$case === "conditionalWrites" || !isShort) {
    const request = { id, store, partition, work, lineage, ...place, sequence: BigInt(sequence) }
    return bufferOf(PipelineRequest.encode(request).finish())
  }
  const records = work.value
  let end = putNumber(0, tags.id, id)
  end = putText(end, tags.store, store)
  end = putNumber(end, tags.partition, partition)
  end = putText(end, tags.lineage, lineage)
  if (session.length > 0) {
    head[end++] = tags.session
    head[end++] = session.length
    head.set(session, end)
    end += session.length
  }
  end = putNumber(end, tags.sequence, sequence)
  end = putNumber(end, tags.unanswered, place.unanswered)
  end = putNumber(end, tags.resent, place.resent ? 1 : 0)
  head[end++] = tags[work.$case]
  end = putVarint(end, records.length)
  const bytes = message.hasHeadroom
    ? Buffer.from(records.buffer, records.byteOffset - end, end + records.length)
    : Buffer.allocUnsafe(end + records.length)
  head.copy(bytes, 0, 0, end)
  if (!message.hasHeadroom) bytes.set(records, end)
  return bytes
}

/** Writes a field of `head` at `at`; returns its end. A number that is 0 is left out. */
function putNumber(at: number, tag: number, value: number): number {
  if (value === 0) return at
  head[at] = tag
  return putVarint(at + 1, value)
}

function putText(at: number, tag: number, text: string): number {
  if (text === "") return at
  head[at] = tag
  const bytes = putAscii(at + 2, text) ? text.length : head.write(text, at + 2, "utf8")
  head[at + 1] = bytes
  return at + 2 + bytes
}

/**
 * Writes a text of plain characters, which short names are, in a third of the time of `write`.
 * @returns false: it is none
 */
function putAscii(at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit >= 0x80) return false
    head[at + index] = unit
  }
  return true
}

/** Whole numbers up to 2^53 - 1. */
function putVarint(at: number, value: number): number {
  let rest = value
  let end = at
  for (; rest >= 2 ** 31; rest = Math.floor(rest / 128)) head[end++] = (rest % 128) | 0x80
  for (; rest >= 0x80; rest >>>= 7) head[end++] = (rest & 0x7f) | 0x80
  head[end++] = rest
  return end
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
