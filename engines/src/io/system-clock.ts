// The clock of the machine.

import { performance } from "node:perf_hooks"
import type { Clock } from "./clock.ts"

/** Node fires a timer of more milliseconds at once. */
const TIMER_MS_MAX = 2 ** 31 - 1

export class SystemClock implements Clock {
  nowMs(): number {
    return Date.now()
  }

  monotonicMs(): number {
    return performance.now()
  }

  async sleep(ms: number, signal?: AbortSignal, whatFor?: "idle"): Promise<void> {
    const endMs = performance.now() + ms
    let restMs = ms
    do {
      if (signal?.aborted === true) return
      await sleepOnce(Math.min(restMs, TIMER_MS_MAX), signal, whatFor)
      restMs = endMs - performance.now()
      // Longer than one timer can: sleep on. A timer that fires a little early is not worth another one.
    } while (restMs > 1)
  }

  nextTurn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }
}

function sleepOnce(ms: number, signal: AbortSignal | undefined, whatFor?: "idle"): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener("abort", end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    if (whatFor === "idle") timer.unref()
    signal?.addEventListener("abort", end, { once: true })
  })
}
