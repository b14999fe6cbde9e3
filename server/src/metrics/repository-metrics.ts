// Figures of requests to the repository, whichever it is, and of what is kept of it in memory.

import type { ChunkCacheStatistics } from "@varve/engines"
import {
  longBoundsMs,
  type RequestFigures,
  type RequestOperation,
  type RequestStatistics,
  requestOperations,
} from "@varve/engines/internal"
import type { Registry } from "prom-client"
import { type CountedDurations, registerCountedHistogram } from "./counted-histogram.ts"
import { registerLabelledReadMetric, registerReadMetric } from "./read-metrics.ts"

/** Those that carry objects. */
const carrying: readonly RequestOperation[] = ["get", "create"]

/** Registers what a thread and its jobs asked of the repository. */
export function registerRepositoryMetrics(registry: Registry, requests: RequestFigures): void {
  registerCountedHistogram(registry, {
    name: "varve_repository_request_duration_seconds",
    help: "How long requests to the repository took, as the daemon waits for them: their turn, repeated attempts and pauses included. Its count is what a bucket is billed by. Slow: so are snapshots and restores.",
    boundsMs: longBoundsMs,
    labels: requestOperations.map((operation) => ({ operation })),
    read: () => requestOperations.map((operation) => durationsOf(requests.of(operation))),
  })
  const counter = (
    name: string,
    help: string,
    operations: readonly RequestOperation[],
    of: (figures: ReturnType<RequestFigures["of"]>) => number,
  ): void => {
    registerLabelledReadMetric(registry, {
      ...{ name, help, type: "counter" },
      labels: operations.map((operation) => ({ operation })),
      read: () => operations.map((operation) => of(requests.of(operation))),
    })
  }
  counter(
    "varve_repository_request_failures_total",
    "Requests to the repository that failed for good. Alert on its increase: snapshots fail, and reads of what is not on the disk; the log names the cause.",
    requestOperations,
    ({ failureCount }) => failureCount,
  )
  counter(
    "varve_repository_retries_total",
    "Attempts that a bucket refused or did not answer, and that were repeated. Many: it is overloaded, or the network is.",
    requestOperations,
    ({ retryCount }) => retryCount,
  )
  counter(
    "varve_repository_bytes_total",
    "Bytes read from the repository (get) and written to it (create).",
    carrying,
    ({ bytes }) => bytes,
  )
}

function durationsOf({ counts, ms }: RequestStatistics): CountedDurations {
  return { counts, sumMs: ms }
}

/** Registers the figures of the chunks that are kept of states that are not on the disk yet. */
export function registerChunkCacheMetrics(registry: Registry, statistics: () => ChunkCacheStatistics): void {
  registerReadMetric(registry, {
    name: "varve_chunk_cache_bytes",
    help: "Memory taken by chunks of the repository that were read. It grows to varve_chunk_cache_limit_bytes and stays there.",
    type: "gauge",
    read: () => statistics().bytesUsed,
  })
  registerReadMetric(registry, {
    name: "varve_chunk_cache_limit_bytes",
    help: "Memory that chunks of the repository may take (setting chunkCacheBytes).",
    type: "gauge",
    read: () => statistics().bytesMax,
  })
  registerReadMetric(registry, {
    name: "varve_chunk_cache_hits_total",
    help: "Chunks of the repository that a read found in memory.",
    type: "counter",
    read: () => statistics().hitCount,
  })
  registerReadMetric(registry, {
    name: "varve_chunk_cache_misses_total",
    help: "Chunks of the repository that a read did not find in memory. Many after a restore: reads wait for the repository until all has come.",
    type: "counter",
    read: () => statistics().missCount,
  })
}
