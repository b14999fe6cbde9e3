// Figures of one thread: how late its event loop runs, how busy it is, and its heap.

import { performance } from "node:perf_hooks"
import { getHeapStatistics } from "node:v8"
import { Counter, Gauge, type Registry } from "prom-client"
import { registerCountedHistogram } from "./counted-histogram.ts"
import { delayBoundsMs, EventLoopDelay, TICK_MS } from "./event-loop-delay.ts"

/** Registers the figures of the calling thread under the name `thread`. @returns stops the measuring */
export function registerThreadMetrics(registry: Registry, thread: string): () => void {
  const labelNames = ["thread"] as const
  const registers = [registry]
  const delay = new EventLoopDelay()
  let lastMs = performance.now()
  const timer = setInterval(() => {
    const nowMs = performance.now()
    delay.tick(nowMs - lastMs)
    lastMs = nowMs
  }, TICK_MS)
  timer.unref()
  registerCountedHistogram(registry, {
    name: "varve_event_loop_delay_seconds",
    help: "How late the thread's event loop ran, as who comes at any moment finds it. A p99 above some 10 ms: something blocks it, or the machine has too few cores.",
    boundsMs: delayBoundsMs,
    labels: [{ thread }],
    read: () => [delay],
  })
  new Counter({
    name: "varve_event_loop_active_seconds_total",
    help: "Time in which the event loop had work. Its rate is how busy the thread is: near 1 a shard is at its end, and more shards help.",
    labelNames,
    registers,
    collect() {
      this.reset()
      this.inc({ thread }, performance.eventLoopUtilization().active / 1000)
    },
  })
  new Gauge({
    name: "varve_thread_heap_bytes",
    help: "JavaScript heap in use by the thread; near varve_thread_heap_limit_bytes the thread ends.",
    labelNames,
    registers,
    collect() {
      this.set({ thread }, getHeapStatistics().used_heap_size)
    },
  })
  new Gauge({
    name: "varve_thread_heap_limit_bytes",
    help: "Most that the thread's JavaScript heap may take.",
    labelNames,
    registers,
    collect() {
      this.set({ thread }, getHeapStatistics().heap_size_limit)
    },
  })
  return () => clearInterval(timer)
}
