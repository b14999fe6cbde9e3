// Answers of a pipeline as the messages that carry them. The generated code makes lists of parts, readers, views and
// objects, and copies the values three times; the answer to operations that all went well is written and read here,
// with one copy and none. What is anything else, or is laid out in another way, is left to the generated code.
//
//   answer      := 08 id · 2a length · operations
//   operations  := (10 written)? · (0a length values)?       read in either order

import { PipelineResponse } from "./gen/varve/v1/state_backend.ts"

/** First bytes of the fields (state_backend.proto): field number, and whether a number follows or a length and bytes. */
const tags = {
  id: (1 << 3) | 0,
  operations: (5 << 3) | 2,
  values: (1 << 3) | 2,
  written: (2 << 3) | 0,
} as const

/** Of a number under 2^32. */
const VARINT_BYTES_MAX = 5
/** Tags and numbers: id, length of the operations, records written, length of the values. */
const HEAD_BYTES_MAX = 4 * (1 + VARINT_BYTES_MAX)

const NO_VALUES: Uint8Array = new Uint8Array(0)

/** Fields before the values of the message that is being written. */
const head = Buffer.allocUnsafeSlow(HEAD_BYTES_MAX)

/** Where the number that was read last ends; -1: it is none. */
let readEnd = 0

/** The message; the answer may change afterwards. */
export function encodeAnswerMessage(answer: PipelineResponse): Buffer {
  const { id, result } = answer
  if (
    result?.$case !== "operations" ||
    result.value.errors.length > 0 ||
    result.value.writesError !== undefined
  ) {
    return bufferOf(PipelineResponse.encode(answer).finish())
  }
  const { values, written } = result.value
  const bytes =
    (values.length === 0 ? 0 : 1 + varintBytes(values.length) + values.length) +
    (written === 0 ? 0 : 1 + varintBytes(written))
  let end = putNumber(0, tags.id, id)
  head[end++] = tags.operations
  end = putVarint(end, bytes)
  end = putNumber(end, tags.written, written)
  end = putNumber(end, tags.values, values.length)
  const message = Buffer.allocUnsafe(end + values.length)
  head.copy(message, 0, 0, end)
  message.set(values, end)
  return message
}

/** The answer; its values are a view of the message. @throws Error when it is malformed */
export function decodeAnswerMessage(message: Buffer): PipelineResponse {
  return decodePlain(message) ?? PipelineResponse.decode(message)
}

function decodePlain(message: Buffer): PipelineResponse | undefined {
  if (message[0] !== tags.id) return undefined
  const id = readVarint(message, 1)
  if (readEnd < 0 || message[readEnd] !== tags.operations) return undefined
  const bytes = readVarint(message, readEnd + 1)
  if (readEnd < 0 || readEnd + bytes !== message.length) return undefined
  let values = NO_VALUES
  let written = 0
  while (readEnd < message.length) {
    const tag = message[readEnd]
    const value = readVarint(message, readEnd + 1)
    if (readEnd < 0) return undefined
    if (tag === tags.written) written = value
    else if (tag === tags.values) {
      if (readEnd + value > message.length) return undefined
      values = message.subarray(readEnd, readEnd + value)
      readEnd += value
    } else return undefined
  }
  return {
    id,
    result: { $case: "operations", value: { values, written, errors: [], writesError: undefined } },
  }
}

function readVarint(message: Buffer, start: number): number {
  let value = 0
  let scale = 1
  for (let index = start; index < start + VARINT_BYTES_MAX && index < message.length; index++) {
    const byte = message[index]!
    value += (byte & 0x7f) * scale
    scale *= 0x80
    if (byte >= 0x80) continue
    readEnd = value < 2 ** 32 ? index + 1 : -1
    return value
  }
  readEnd = -1
  return 0
}

/** Writes a field of `head` at `at`; returns its end. A number that is 0 is left out. */
function putNumber(at: number, tag: number, value: number): number {
  if (value === 0) return at
  head[at] = tag
  return putVarint(at + 1, value)
}

function putVarint(at: number, value: number): number {
  let rest = value
  let end = at
  for (; rest >= 0x80; rest >>>= 7) head[end++] = (rest & 0x7f) | 0x80
  head[end++] = rest
  return end
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
