// Bounds of one request on many keys: how many it names, and how much it answers.

import type { ReadBudget } from "@varve/engines"
import { VarveError } from "@varve/proto"
import { ENTRIES_PER_MESSAGE_MAX } from "./message-bounds.ts"

/** Two lengths, flags, a key of one byte. */
const RECORD_BYTES_MIN = 4

/** Whether so many bytes could be more records than a frame may have; others need not be counted. */
export function mayBeTooMany(batch: Uint8Array): boolean {
  return batch.length > ENTRIES_PER_MESSAGE_MAX * RECORD_BYTES_MIN
}

/** @throws VarveError `REQUEST_INVALID` */
export function checkRecordCount(count: number): void {
  if (count > ENTRIES_PER_MESSAGE_MAX) {
    throw new VarveError(
      "REQUEST_INVALID",
      `more than ${ENTRIES_PER_MESSAGE_MAX} records in one frame: send fewer at once`,
    )
  }
}

/** @throws VarveError `REQUEST_INVALID` */
export function checkKeyCount(count: number): void {
  if (count > ENTRIES_PER_MESSAGE_MAX) {
    throw new VarveError(
      "REQUEST_INVALID",
      `${count} keys in one read; at most ${ENTRIES_PER_MESSAGE_MAX} are allowed`,
    )
  }
}

/** @throws VarveError `MESSAGE_TOO_LARGE` when values were left out for want of budget */
export function checkBudget(budget: ReadBudget): void {
  checkReadBytes(budget.bytes, budget.bytesMax)
}

/** @throws VarveError `MESSAGE_TOO_LARGE` when an answer of `bytes` would not fit a message */
export function checkReadBytes(bytes: number, bytesMax: number): void {
  if (bytes > bytesMax) {
    throw new VarveError(
      "MESSAGE_TOO_LARGE",
      `the values have ${bytes} bytes or more; an answer holds at most ${bytesMax} (limits.messageBytesMax): ask for fewer keys`,
    )
  }
}
