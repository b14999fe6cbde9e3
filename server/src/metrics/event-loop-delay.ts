// How late a thread's event loop runs, as whoever comes at any moment finds it. A timer ticks; what a tick comes too late is
// how long something held the loop.
//
//   tick        tick                            tick
//    │── 20 ms ──│───────────── 100 ms ──────────│        late by 80 ms: who came right before was held up for 80,
//                                                         a tick later 60, 40 and 20
//
// All of these count, not the longest one alone: otherwise a second in which nothing happened would be one of fifty
// observations and not fifty of a hundred (coordinated omission, after G. Tene).

import { boundIndex, noCounts } from "@varve/engines/internal"

/** A loop that is held for longer has other troubles: a shard is ended then (shardHangSeconds). */
const LATE_MS_MAX = 60_000
export const TICK_MS = 20

/** Upper bounds. Timers of Node are exact to a millisecond. */
export const delayBoundsMs: readonly number[] = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000]

export class EventLoopDelay {
  readonly counts = noCounts(delayBoundsMs)
  #sumMs = 0

  get sumMs(): number {
    return this.#sumMs
  }

  /** A tick came `elapsedMs` after the one before. */
  tick(elapsedMs: number): void {
    let lateMs = Math.min(LATE_MS_MAX, Math.max(0, elapsedMs - TICK_MS))
    do {
      this.counts[boundIndex(delayBoundsMs, lateMs)]! += 1
      this.#sumMs += lateMs
      lateMs -= TICK_MS
    } while (lateMs > 0)
  }
}
