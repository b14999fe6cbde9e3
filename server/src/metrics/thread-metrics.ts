// Figures of one thread: how late its event loop runs, how busy it is, and its heap.

import { performance } from "node:perf_hooks"
import { getHeapStatistics } from "node:v8"
import type { Registry } from "prom-client"
import { registerCountedHistogram } from "./counted-histogram.ts"
import { delayBoundsMs, EventLoopDelay, TICK_MS } from "./event-loop-delay.ts"
import { registerLabelledReadMetric } from "./read-metrics.ts"

/** Registers the figures of the calling thread under the name `thread`. @returns stops the measuring */
export function registerThreadMetrics(registry: Registry, thread: string): () => void {
  const labels = [{ thread }]
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
    labels,
    read: () => [delay],
  })
  registerLabelledReadMetric(registry, {
    name: "varve_event_loop_active_seconds_total",
    help: "Time in which the event loop had work. Its rate is how busy the thread is: near 1 a shard is at its end, and more shards help.",
    type: "counter",
    labels,
    read: () => [performance.eventLoopUtilization().active / 1000],
  })
  registerLabelledReadMetric(registry, {
    name: "varve_thread_heap_bytes",
    help: "JavaScript heap in use by the thread; near varve_thread_heap_limit_bytes the thread ends.",
    type: "gauge",
    labels,
    read: () => [getHeapStatistics().used_heap_size],
  })
  registerLabelledReadMetric(registry, {
    name: "varve_thread_heap_limit_bytes",
    help: "Most that the thread's JavaScript heap may take.",
    type: "gauge",
    labels,
    read: () => [getHeapStatistics().heap_size_limit],
  })
  return () => clearInterval(timer)
}
