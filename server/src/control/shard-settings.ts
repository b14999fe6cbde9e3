// What is set for the daemon as a whole, divided by its shards.

import type { Settings } from "../config/settings.ts"

/** The settings of each shard. */
export function shardSettings(settings: Settings): Settings {
  const { shards, blockCacheBytes, chunkCacheBytes, limits, storing } = settings
  const part = (whole: number): number => Math.floor(whole / shards)
  const { mergeUploadBytesPerSecond } = storing
  return {
    ...settings,
    blockCacheBytes: part(blockCacheBytes),
    chunkCacheBytes: part(chunkCacheBytes),
    storing: {
      ...storing,
      // 0 has a meaning of its own.
      mergeUploadBytesPerSecond:
        mergeUploadBytesPerSecond === 0 ? 0 : Math.max(1, part(mergeUploadBytesPerSecond)),
    },
    // One pipeline must find room in it.
    limits: {
      ...limits,
      inflightBytesMax: Math.max(limits.streamInflightBytesMax, part(limits.inflightBytesMax)),
    },
  }
}
