// Figures of one thread: how late its event loop runs, and its heap.

import { monitorEventLoopDelay } from "node:perf_hooks"
import { getHeapStatistics } from "node:v8"
import { Gauge, type Registry } from "prom-client"

const RESOLUTION_MS = 10
const NANOSECONDS = 1e9

/** Registers the figures of the calling thread under the name `thread`. @returns stops the measuring */
export function registerThreadMetrics(registry: Registry, thread: string): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  new Gauge({
    name: "varve_event_loop_delay_seconds",
    help: "How late the thread's event loop ran since the last scrape. Above a few milliseconds something blocks it.",
    labelNames: ["thread", "quantile"],
    registers: [registry],
    collect() {
      for (const [quantile, value] of [
        ["0.5", delay.percentile(50)],
        ["0.99", delay.percentile(99)],
        ["1", delay.max],
      ] as const) {
        // The histogram measures the whole interval between ticks, the pause it asked for included.
        const late = delay.count === 0 ? 0 : Math.max(0, value / NANOSECONDS - RESOLUTION_MS / 1000)
        this.set({ thread, quantile }, late)
      }
      delay.reset()
    },
  })
  new Gauge({
    name: "varve_thread_heap_bytes",
    help: "JavaScript heap in use by the thread; near varve_thread_heap_limit_bytes the thread ends.",
    labelNames: ["thread"],
    registers: [registry],
    collect() {
      this.set({ thread }, getHeapStatistics().used_heap_size)
    },
  })
  new Gauge({
    name: "varve_thread_heap_limit_bytes",
    help: "Most that the thread's JavaScript heap may take.",
    labelNames: ["thread"],
    registers: [registry],
    collect() {
      this.set({ thread }, getHeapStatistics().heap_size_limit)
    },
  })
  return () => delay.disable()
}
