// A frame as the message that carries it. The generated encoder would clear, fill and copy a buffer of the records'
// size; here they are copied once, behind the other fields. Fields of a message may stand in any order.

import { PipelineRequest } from "@varve/proto"

/** First bytes of the fields that hold records (state_backend.proto): field number, then "length and bytes". */
const tags = { reads: (4 << 3) | 2, writes: (5 << 3) | 2, operations: (8 << 3) | 2 } as const

/** The message; its records may change afterwards. */
export function encodeFrameMessage(request: PipelineRequest): Buffer {
  const { work } = request
  if (work === undefined || work.$case === "conditionalWrites") {
    return bufferOf(PipelineRequest.encode(request).finish())
  }
  const head = PipelineRequest.encode({ ...request, work: undefined }).finish()
  const records = work.value
  const message = Buffer.allocUnsafe(head.length + 1 + varintBytes(records.length) + records.length)
  message.set(head)
  let at = head.length
  message[at++] = tags[work.$case]
  let rest = records.length
  for (; rest >= 0x80; rest >>>= 7) message[at++] = (rest & 0x7f) | 0x80
  message[at++] = rest
  message.set(records, at)
  return message
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++
  return bytes
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
