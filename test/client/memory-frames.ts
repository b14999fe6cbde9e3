// What a frame of a pipeline asks for, as tests look at it.

import { decodeOperation, type PipelineRequest, READ_FLAG, RecordCursor, VarveError } from "@varve/proto"

/** One of a frame of operations; key and value are views of it. */
export interface Operation {
  readonly isRead: boolean
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** The operations of a frame. */
export function operationsOf(list: Uint8Array): Operation[] {
  const operations: Operation[] = []
  const cursor = new RecordCursor()
  for (let at = 0; at < list.length; at = cursor.end) {
    if (!decodeOperation(list, at, list.length, cursor)) throw new VarveError("RECORD_MALFORMED", "cut off")
    operations.push({
      isRead: cursor.flags === READ_FLAG,
      key: list.subarray(cursor.keyStart, cursor.keyEnd),
      value: list.subarray(cursor.valueStart, cursor.end),
    })
  }
  return operations
}

/** What a frame does, in a word a kind: "rww" reads once and writes twice, "conditionalWrites" is one. */
export function kindsOf({ work }: PipelineRequest): string {
  if (work?.$case !== "operations") return work?.$case ?? "nothing"
  return operationsOf(work.value)
    .map(({ isRead }) => (isRead ? "r" : "w"))
    .join("")
}

/** Bytes of keys and values in a frame. */
export function payloadBytes({ work }: PipelineRequest): number {
  if (work === undefined) return 0
  if (work.$case === "conditionalWrites") return work.value.records.length + work.value.expected.length
  return work.value.length
}
