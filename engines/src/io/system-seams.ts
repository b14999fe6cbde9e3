// The real outside world, as one argument.

import { NodeFileSystem } from "./node-file-system.ts"
import { RequestFigures } from "./request-figures.ts"
import type { Seams } from "./seams.ts"
import { SystemClock } from "./system-clock.ts"
import { SystemRandom } from "./system-random.ts"
import { ThreadExecutor, type ThreadExecutorOptions } from "./thread-executor.ts"

/** Seams of this process, and what frees their threads. */
export interface SystemSeams extends Seams {
  /** Requests to object stores that were opened over these seams, those of jobs included. */
  readonly requests: RequestFigures
  /** Requests of jobs to object stores fail from now on: a stop does not wait for a store that does not answer. */
  closeObjectStores(): void
  /** Threads for jobs are started now, and not with the first jobs: each holds this thread for some milliseconds. */
  startThreads(): void
  /** Refuses new jobs, waits for running ones and frees the threads. */
  close(): Promise<void>
}

/** Disk, clock and chance of the machine, and threads for jobs; the caller closes them. */
export function systemSeams(options: ThreadExecutorOptions): SystemSeams {
  const requests = options.requests ?? new RequestFigures()
  const executor = new ThreadExecutor({ ...options, requests })
  return {
    requests,
    fileSystem: new NodeFileSystem(),
    clock: new SystemClock(),
    random: new SystemRandom(),
    executor,
    closeObjectStores: () => executor.closeObjectStores(),
    startThreads: () => executor.startThreads(),
    close: () => executor.close(),
  }
}
