// Arguments of calls as callers give them, checked and in the form in which they are sent.

import { checkKeyBytes, PARTITION_COUNT_MAX, VarveError } from "@varve/proto"
import { type Bytes, toBytes } from "./bytes.ts"
import { checkArray, shown } from "./check-options.ts"

const VERSION_MAX = Number.MAX_SAFE_INTEGER

/** @throws VarveError `REQUEST_INVALID`, `KEY_EMPTY`, `KEY_TOO_LARGE` */
export function toKey(key: Bytes): Uint8Array {
  const bytes = toBytes(key, "key")
  checkKeyBytes(bytes.length)
  return bytes
}

/** Bytes that stay as they are: of a text they are new already, of the caller's array a copy. */
export function owned(given: Bytes, bytes: Uint8Array): Uint8Array {
  return typeof given === "string" ? bytes : Uint8Array.from(bytes)
}

/** @throws VarveError `REQUEST_INVALID`, `PARTITION_OUT_OF_RANGE` */
export function toPartitions(partitions: readonly number[] = []): number[] {
  checkArray(partitions, "partitions", "numbers")
  return partitions.map(toPartition)
}

/** Whether the store has it is the daemon's to say. @throws VarveError `PARTITION_OUT_OF_RANGE` */
export function toPartition(partition: number): number {
  if (Number.isInteger(partition) && partition >= 0 && partition < PARTITION_COUNT_MAX) return partition
  throw new VarveError(
    "PARTITION_OUT_OF_RANGE",
    `a partition is a whole number from 0, not ${shown(partition)}`,
  )
}

/** @throws VarveError `REQUEST_INVALID` */
export function toLimit(limit: number): bigint {
  if (Number.isSafeInteger(limit) && limit >= 0) return BigInt(limit)
  throw new VarveError("REQUEST_INVALID", `a limit is a whole number from 0, not ${shown(limit)}`)
}

/** @throws VarveError `VERSION_INVALID` */
export function toVersion(version: number): bigint {
  if (Number.isSafeInteger(version) && version >= 1) return BigInt(version)
  throw new VarveError(
    "VERSION_INVALID",
    `a version is a number from 1 to ${VERSION_MAX}, not ${shown(version)}`,
  )
}
