// What the daemon does by itself every so often: collecting garbage, restore drills.

import type { Clock } from "@varve/engines/internal"

export interface Schedule {
  readonly clock: Pick<Clock, "sleep">
  /** Ends the schedule: the sleep at once, the work by its own means. */
  readonly signal: AbortSignal
  /** From the start of the schedule to the first piece of work; an interval when it is left out. */
  readonly firstMs?: number
  /** From the end of one piece of work to the beginning of the next. */
  intervalMs(): number
}

/** Does the work again and again; resolves when the signal says so and no work runs. `work` does not reject. */
export async function runEvery(schedule: Schedule, work: () => Promise<void>): Promise<void> {
  const { clock, signal } = schedule
  let waitMs = schedule.firstMs ?? schedule.intervalMs()
  for (;;) {
    await clock.sleep(waitMs, signal, "idle")
    if (signal.aborted) return
    await work()
    waitMs = schedule.intervalMs()
  }
}
