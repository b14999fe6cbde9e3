// Bounds of a request that are checked before it is decoded. An entry of two bytes becomes an object of a hundred and
// more: four million records without key and value fit a message of 8 MiB, and would take half a gigabyte and seconds.
//
// A message that may not be decoded becomes a `RefusedMessage`, which the guard of the call answers: what a decoder
// throws would lose its reason on the way.

import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js"
import type { Reason } from "@varve/proto"

/**
 * Of one message: keys, records, conditions, operations; and its fields, entries of lists and maps each counted. An entry
 * costs an object or a place in a table, and while records are applied nothing else is.
 */
export const ENTRIES_PER_MESSAGE_MAX = 65_536
/** Of a request that carries no records: 1 MiB of metadata, and a lineage for each of 65 536 partitions. */
const ADMINISTRATIVE_BYTES_MAX = 4 * 1024 * 1024

/** Fields besides the entries of lists. */
const SINGLE_FIELDS_MAX = 16
const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** Stands for a request that was not decoded. */
export class RefusedMessage {
  readonly reason: Reason
  readonly text: string

  constructor(reason: Reason, text: string) {
    this.reason = reason
    this.text = text
  }
}

/**
 * The service with bounds before each of its decoders.
 * @param carriesRecords calls that may be as large as the transport takes
 */
export function boundedService<Service extends ServiceDefinition>(
  service: Service,
  carriesRecords: (name: string) => boolean,
): Service {
  const bounded = Object.entries(service).map(([name, method]) => [
    name,
    boundedMethod(method, carriesRecords(name) ? Number.POSITIVE_INFINITY : ADMINISTRATIVE_BYTES_MAX),
  ])
  return Object.fromEntries(bounded) as Service
}

function boundedMethod<Method extends MethodDefinition<unknown, unknown>>(
  method: Method,
  bytesMax: number,
): Method {
  const decode = method.requestDeserialize
  const requestDeserialize = (bytes: Buffer): unknown => {
    if (bytes.length <= ENTRIES_PER_MESSAGE_MAX) return decode(bytes)
    if (bytes.length > bytesMax) {
      const text = `the request has ${bytes.length} bytes; this call takes at most ${bytesMax}`
      return new RefusedMessage("MESSAGE_TOO_LARGE", text)
    }
    if (hasMoreFields(bytes, ENTRIES_PER_MESSAGE_MAX + SINGLE_FIELDS_MAX)) {
      const text = `more than ${ENTRIES_PER_MESSAGE_MAX} entries in one request: send fewer at once`
      return new RefusedMessage("REQUEST_INVALID", text)
    }
    return decode(bytes)
  }
  return { ...method, requestDeserialize }
}

/** Whether the message has more than `max` fields at its top; of what is no message, that is for the decoder to say. */
function hasMoreFields(bytes: Uint8Array, max: number): boolean {
  let at = 0
  for (let count = 1; at < bytes.length; count++) {
    if (count > max) return true
    const wireType = bytes[at]! & 7
    at = afterVarint(bytes, at)
    if (wireType === wire.varint) at = afterVarint(bytes, at)
    else if (wireType === wire.fixed64) at += 8
    else if (wireType === wire.fixed32) at += 4
    else if (wireType === wire.bytes) at = afterBytes(bytes, at)
    // What begins and ends a group is a tag alone, and each counts.
  }
  return false
}

/** A varint that has no end reaches to the end of the message. */
function afterVarint(bytes: Uint8Array, start: number): number {
  let at = start
  while (at < bytes.length && bytes[at]! >= 0x80) at++
  return at + 1
}

function afterBytes(bytes: Uint8Array, start: number): number {
  let length = 0
  let scale = 1
  let at = start
  for (; at < bytes.length; at++, scale *= 0x80) {
    length += (bytes[at]! & 0x7f) * scale
    if (bytes[at]! < 0x80) break
  }
  return at + 1 + length
}
