// Figures of the shard's cache of blocks, read from it when somebody asks.

import type { BlockCache, BlockCacheStatistics } from "@varve/engines"
import type { Registry } from "prom-client"
import { type ReadMetric, registerReadMetric } from "./read-metrics.ts"

interface Figure extends Omit<ReadMetric, "read"> {
  readonly of: (statistics: BlockCacheStatistics) => number
}

const figures: readonly Figure[] = [
  {
    name: "varve_block_cache_bytes",
    help: "Memory taken by blocks of runs that were read. It grows to varve_block_cache_limit_bytes and stays there.",
    type: "gauge",
    of: ({ bytesUsed }) => bytesUsed,
  },
  {
    name: "varve_block_cache_limit_bytes",
    help: "Memory that the cache of blocks may take (setting blockCacheBytes).",
    type: "gauge",
    of: ({ bytesMax }) => bytesMax,
  },
  {
    name: "varve_block_cache_hits_total",
    help: "Blocks that a read found in the cache.",
    type: "counter",
    of: ({ hitCount }) => hitCount,
  },
  {
    name: "varve_block_cache_misses_total",
    help: "Blocks that a read did not find in the cache. Many beside varve_block_cache_hits_total: a larger cache would save disk reads.",
    type: "counter",
    of: ({ missCount }) => missCount,
  },
  {
    name: "varve_block_cache_evictions_total",
    help: "Blocks of the cache that gave way to others.",
    type: "counter",
    of: ({ evictionCount }) => evictionCount,
  },
]

/** Registers the figures of `cache`, all present from the start. */
export function registerBlockCacheMetrics(registry: Registry, cache: BlockCache): void {
  for (const { of, ...figure } of figures) {
    registerReadMetric(registry, { ...figure, read: () => of(cache.statistics()) })
  }
}
