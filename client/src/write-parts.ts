// A `write` whose records belong to several partitions: one part for each, applied all or none.

import { recordBytes, VarveError } from "@varve/proto"
import type { WriteOptions } from "./options.ts"
import type { PreparedWrite } from "./prepared-write.ts"
import type { Topology } from "./topology.ts"

/** Records of one partition in a `write`. */
export interface WritePart {
  readonly partition: number
  readonly indexes: number[]
  bytes: number
}

/** The parts of one `write`: its promise settles when the last of them has. */
export class WriteGroup {
  pending = 1
  #error: { readonly value: unknown } | undefined
  readonly done: () => void
  readonly failed: (error: unknown) => void

  constructor(resolve: () => void, reject: (error: unknown) => void) {
    this.done = () => {
      if (--this.pending > 0) return
      if (this.#error === undefined) resolve()
      else reject(this.#error.value)
    }
    this.failed = (error) => {
      this.#error ??= { value: error }
      this.done()
    }
  }
}

/** Deals the records to their partitions, in order. @throws VarveError before anything is sent */
export function splitWrite(
  topology: Topology,
  { keys, values, expected }: PreparedWrite,
  options: WriteOptions | undefined,
): WritePart[] {
  const parts = new Map<number, WritePart>()
  const partOf = (key: Uint8Array, valueBytes: number): WritePart => {
    topology.checkValueBytes(valueBytes)
    const partition = topology.partitionOf(key, options?.partition)
    let part = parts.get(partition)
    if (part === undefined) {
      part = { partition, indexes: [], bytes: 0 }
      parts.set(partition, part)
    }
    part.bytes += recordBytes(key.length, valueBytes)
    return part
  }
  keys.forEach((key, index) => {
    partOf(key, values[index]!.length).indexes.push(index)
  })
  for (const { key, value } of expected) partOf(key, value.length)
  const kind = expected.length > 0 ? "conditional" : options?.atomic === true ? "atomic" : undefined
  if (kind !== undefined && parts.size > 1) {
    throw new VarveError(
      "PARTITION_REQUIRED",
      `${kind} writes take keys of one partition; these belong to ${[...parts.keys()].join(", ")}`,
    )
  }
  for (const { bytes, indexes } of parts.values()) {
    topology.checkBatch(bytes, Math.max(indexes.length, expected.length))
  }
  return [...parts.values()]
}
