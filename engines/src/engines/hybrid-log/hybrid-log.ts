// Hybrid log (after FASTER: B. Chandramouli et al., SIGMOD 2018): a log whose newest part is updated in place, and
// whose rest goes to disk in the background, a whole read-only region at a time.

import { KEY_BYTES_MAX, RECORD_HEADER_BYTES_MAX } from "../../base/record.ts"
import type { CoreHost } from "../../core.ts"
import { HashedLog } from "../../hashed/hashed-log.ts"
import type { LoadedIndex } from "../../hashed/load-index.ts"
import { MemoryLog } from "../../hashed/memory-log.ts"
import { FlushLoop } from "../../runs/flush-loop.ts"
import { Flusher } from "./flusher.ts"
import type { HybridLogSettings } from "./settings.ts"

/** A hybrid log over the runs of the host, in an index that was loaded from them. */
export function openHybridLog(host: CoreHost<HybridLogSettings>, loaded: LoadedIndex): HashedLog {
  const { memSegmentLength, roLagInterval, flushInterval } = host.settings
  const intervalBytes = roundUp(flushInterval, memSegmentLength)
  const lagBytes = roundUp(roLagInterval, memSegmentLength)
  const recordBytesMax = RECORD_HEADER_BYTES_MAX + KEY_BYTES_MAX + host.valueBytesMax
  // Unflushed while no flush is due: less than the mutable region, the read-only one, and the segment and record
  // at which their border lags. Above that, room to write on while a flush runs: as much as the read-only region,
  // and a record with the gap that it leaves when it does not fit before the ring's end.
  const batchBytesMax = intervalBytes + recordBytesMax
  const unflushedBytes = lagBytes + intervalBytes + memSegmentLength + recordBytesMax
  const capacity = roundUp(unflushedBytes + batchBytesMax + recordBytesMax, memSegmentLength)
  const log = new MemoryLog(capacity, memSegmentLength)
  const flusher = new Flusher(host, log, {
    intervalBytes,
    // Below that the largest batch finds room.
    pressureBytes: Math.min(lagBytes + intervalBytes + intervalBytes / 2, unflushedBytes),
  })
  return new HashedLog(host, {
    loaded,
    log,
    flushLoop: new FlushLoop(host, flusher),
    lagBytes,
    recordBytesMax,
    batchBytesMax,
    batchSetting: "flushInterval",
  })
}

function roundUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit
}
