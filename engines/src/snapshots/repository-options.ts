// What may be said about how a repository is used; nothing of it is stored.

import { EngineError } from "../base/error.ts"
import { CHUNK_COUNT_LEAST, CHUNK_COUNT_MAX } from "./chunk-index.ts"

/** How a repository is used. */
export interface RepositoryOptions {
  /** How much of what is read chunk by chunk stays in memory, in bytes; 16 MiB by default. */
  readonly chunkCacheBytes?: number
  /**
   * How fast merged runs go up, which no version waits for, all partitions together; 0: no limit. Default 64 MiB.
   * @see UploadBudget
   */
  readonly mergeUploadBytesPerSecond?: number
  /**
   * Whether what the repository holds is looked up before runs are stored; default true. Without, every version stores
   * all runs of its state anew, as the naive baseline does. Versions are the same, and readable by all.
   */
  readonly deduplication?: boolean
  /** How many chunks are remembered to be there: 786,432 by default and at most, 63 MB for 13 GiB of state; at least 512. */
  readonly chunkCountMax?: number
}

/** @throws EngineError `SETTING_INVALID`. The rate of uploads is checked by whoever keeps it: upload-budget.ts. */
export function checkRepositoryOptions({ chunkCountMax = CHUNK_COUNT_MAX }: RepositoryOptions): void {
  if (
    !Number.isInteger(chunkCountMax) ||
    chunkCountMax < CHUNK_COUNT_LEAST ||
    chunkCountMax > CHUNK_COUNT_MAX
  ) {
    throw new EngineError(
      "SETTING_INVALID",
      `chunkCountMax is ${chunkCountMax}; it is ${CHUNK_COUNT_LEAST} to ${CHUNK_COUNT_MAX} chunks`,
    )
  }
}
