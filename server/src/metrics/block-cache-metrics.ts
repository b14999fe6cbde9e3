// Figures of the shard's cache of blocks, read from it when somebody asks.

import type { BlockCache, BlockCacheStatistics } from "@varve/engines"
import { Counter, Gauge, type Registry } from "prom-client"

interface Figure {
  readonly name: string
  readonly help: string
  readonly of: (statistics: BlockCacheStatistics) => number
}

const gauges: readonly Figure[] = [
  {
    name: "varve_block_cache_bytes",
    help: "Memory taken by blocks of runs that were read. It grows to varve_block_cache_limit_bytes and stays there.",
    of: ({ bytesUsed }) => bytesUsed,
  },
  {
    name: "varve_block_cache_limit_bytes",
    help: "Memory that the cache of blocks may take (setting blockCacheBytes).",
    of: ({ bytesMax }) => bytesMax,
  },
]

const counters: readonly Figure[] = [
  {
    name: "varve_block_cache_hits_total",
    help: "Blocks that a read found in the cache.",
    of: ({ hitCount }) => hitCount,
  },
  {
    name: "varve_block_cache_misses_total",
    help: "Blocks that a read did not find in the cache. Many beside varve_block_cache_hits_total: a larger cache would save disk reads.",
    of: ({ missCount }) => missCount,
  },
  {
    name: "varve_block_cache_evictions_total",
    help: "Blocks of the cache that gave way to others.",
    of: ({ evictionCount }) => evictionCount,
  },
]

/** Registers the figures of `cache`, all present from the start. */
export function registerBlockCacheMetrics(registry: Registry, cache: BlockCache): void {
  for (const { name, help, of } of gauges) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(of(cache.statistics()))
      },
    })
  }
  for (const { name, help, of } of counters) {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset()
        this.inc(of(cache.statistics()))
      },
    })
  }
}
