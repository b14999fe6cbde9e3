// Input that comes at the pace of a live stream: files that grow.

import { appendFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"

export interface Stream {
  readonly path: string
  readonly bytes: Buffer
}

const STEP_MS = 50

/** Appends each stream to its file, evenly over `seconds` and cut anywhere; resolves when all is there, or at an abort. */
export async function feed(streams: readonly Stream[], seconds: number, signal: AbortSignal): Promise<void> {
  const begin = performance.now()
  for (let fed = 0; fed < 1 && !signal.aborted; ) {
    await sleep(STEP_MS)
    const due = Math.min(1, (performance.now() - begin) / (seconds * 1000))
    for (const { path, bytes } of streams)
      appendFileSync(path, bytes.subarray(Math.floor(fed * bytes.length), Math.floor(due * bytes.length)))
    fed = due
  }
}
