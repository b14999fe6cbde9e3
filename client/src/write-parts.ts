// A `write` whose records belong to several partitions: one part for each, applied all or none.

import { recordBytes, VarveError } from "@varve/proto"
import type { WriteOptions } from "./options.ts"
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
  keys: readonly Uint8Array[],
  values: readonly Uint8Array[],
  options: WriteOptions | undefined,
): WritePart[] {
  const parts = new Map<number, WritePart>()
  keys.forEach((key, index) => {
    const valueBytes = values[index]!.length
    topology.checkValueBytes(valueBytes)
    const partition = topology.partitionOf(key, options?.partition)
    let part = parts.get(partition)
    if (part === undefined) {
      part = { partition, indexes: [], bytes: 0 }
      parts.set(partition, part)
    }
    part.indexes.push(index)
    part.bytes += recordBytes(key.length, valueBytes)
  })
  if (options?.atomic === true && parts.size > 1) {
    throw new VarveError(
      "PARTITION_REQUIRED",
      `an atomic write takes keys of one partition; these belong to ${[...parts.keys()].join(", ")}`,
    )
  }
  for (const part of parts.values()) topology.checkBatchBytes(part.bytes)
  return [...parts.values()]
}
