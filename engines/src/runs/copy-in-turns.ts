// A copy of what is in memory, for the thread that writes it to disk, made so that it holds nobody up.

import type { Clock } from "../io/clock.ts"

/** Bytes copied in one turn of the event loop: about 0.2 ms. */
const COPY_BYTES = 1024 * 1024

/** A buffer of `length` bytes; `copy` is asked for one piece after the other, `target` being that from `at` on. */
export async function copyInTurns(
  clock: Clock,
  length: number,
  copy: (target: Uint8Array, at: number) => void,
): Promise<ArrayBuffer> {
  const buffer = new ArrayBuffer(length)
  for (let at = 0; at < length; at += COPY_BYTES) {
    copy(new Uint8Array(buffer, at, Math.min(COPY_BYTES, length - at)), at)
    await clock.nextTurn()
  }
  return buffer
}
