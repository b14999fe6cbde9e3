// Which keys a scan is about: those with a prefix, those of a range, or all.

import { compareBytes, startsWith } from "./bytes.ts"

export interface KeySelection {
  readonly prefix?: Uint8Array
  /** Keys of `[start, end)`, compared as unsigned bytes. */
  readonly start?: Uint8Array
  readonly end?: Uint8Array
}

/** Whether `key` belongs to the selection. */
export function selects({ prefix, start, end }: KeySelection, key: Uint8Array): boolean {
  if (prefix !== undefined && !startsWith(key, prefix)) return false
  if (start !== undefined && compareBytes(key, start) < 0) return false
  return end === undefined || compareBytes(key, end) < 0
}
