// Bounds of one read of many keys: what it asks for, and what it answers.

import { VarveError } from "@varve/proto"

/** Keys of one call or frame: each costs an object while it is read. */
const KEYS_PER_READ_MAX = 65_536

/** @throws VarveError `REQUEST_INVALID` */
export function checkKeyCount(count: number): void {
  if (count > KEYS_PER_READ_MAX) {
    throw new VarveError(
      "REQUEST_INVALID",
      `${count} keys in one read; at most ${KEYS_PER_READ_MAX} are allowed`,
    )
  }
}

/** @throws VarveError `MESSAGE_TOO_LARGE` when an answer of `bytes` would not fit a message */
export function checkReadBytes(bytes: number, bytesMax: number): void {
  if (bytes > bytesMax) {
    throw new VarveError(
      "MESSAGE_TOO_LARGE",
      `the values have ${bytes} bytes; an answer holds at most ${bytesMax} (limits.messageBytesMax): ask for fewer keys`,
    )
  }
}
