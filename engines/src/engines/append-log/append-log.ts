// Append log (after Bitcask: J. Sheehy and D. Smith, 2010; with levels): every write goes to the tail of the newest
// run, at once, and nothing is ever changed in place. What is in memory is the index, the newest run until it is
// finished, and what has not reached its file yet.

import { KEY_BYTES_MAX, RECORD_HEADER_BYTES_MAX } from "../../base/record.ts"
import type { CoreHost } from "../../core.ts"
import { HashedLog } from "../../hashed/hashed-log.ts"
import type { LoadedIndex } from "../../hashed/load-index.ts"
import { MemoryLog } from "../../hashed/memory-log.ts"
import { FlushLoop } from "../../runs/flush-loop.ts"
import { RunAppender } from "./run-appender.ts"
import type { AppendLogSettings } from "./settings.ts"

/** An append log over the runs of the host, in an index that was loaded from them. */
export function openAppendLog(host: CoreHost<AppendLogSettings>, loaded: LoadedIndex): HashedLog {
  const { threshold } = host.settings
  const recordBytesMax = RECORD_HEADER_BYTES_MAX + KEY_BYTES_MAX + host.valueBytesMax
  const batchBytesMax = threshold + recordBytesMax
  // A run that is being finished, and as much as the next one takes. Above that writers wait, and the largest batch
  // finds room, with the gap that its last record leaves before the ring's end.
  const pressureBytes = 2 * threshold
  const log = new MemoryLog(pressureBytes + batchBytesMax + recordBytesMax, threshold)
  return new HashedLog(host, {
    loaded,
    log,
    flushLoop: new FlushLoop(host, new RunAppender(host, log, pressureBytes)),
    lagBytes: 0,
    recordBytesMax,
    batchBytesMax,
    batchSetting: "threshold",
  })
}
