// The handle of a replaced state of several partitions, as one text: `0=HANDLE,2=HANDLE`.

import { VarveError } from "@varve/proto"

const HANDLE_TEXT_MAX = 64 * 1024
const PART = /^(\d{1,5})=([A-Za-z0-9._:-]{1,200})$/

/** One text for the handles of all partitions. */
export function encodeReplacedHandle(handles: ReadonlyMap<number, string>): string {
  return [...handles].map(([partition, handle]) => `${partition}=${handle}`).join(",")
}

/** @throws VarveError `REQUEST_INVALID` */
export function decodeReplacedHandle(text: string): Map<number, string> {
  const handles = new Map<number, string>()
  const parts = text.length > HANDLE_TEXT_MAX ? [] : text.split(",")
  for (const part of parts) {
    const match = PART.exec(part)
    const partition = Number(match?.[1])
    if (match === null || handles.has(partition)) break
    handles.set(partition, match[2]!)
  }
  if (parts.length === 0 || handles.size !== parts.length) {
    throw new VarveError(
      "REQUEST_INVALID",
      "`replaced` is no handle of a replaced state, as a restore answers it",
    )
  }
  return handles
}
