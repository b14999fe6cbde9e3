// How the log of a hashed engine gets to disk. The log tells its sink that it has grown; the sink makes runs of it,
// in address order and without gaps, each covering the addresses that its bytes had in the log, and moves
// `flushed` of the log along.

import type { EngineError } from "../base/error.ts"
import type { Seal } from "../core.ts"
import type { OpenRun } from "../runs/run-set.ts"

/** One owner, who closes it. */
export interface LogSink {
  /** Runs written, and their bytes, since the engine was opened. */
  readonly flushCount: number
  readonly bytesFlushed: number
  /** Set while the disk is full; writing is tried again until it is not. */
  readonly full: EngineError | undefined
  /** The log has grown. Called after each write; cheap. */
  request(): void
  /** Undefined, or, when the disk is behind the writers, a promise that resolves when it has caught up. */
  pressure(): Promise<void> | undefined
  /**
   * Called in the turn of the seal. Resolves the retained runs that hold everything below the seal and nothing above
   * it, durable. @throws (rejects) EngineError `STORAGE_FULL`, `STORAGE_FAILED`, `ENGINE_CLOSED`
   */
  flush(seal: Seal): Promise<readonly OpenRun[]>
  /** Stops and waits for what is under way; seals that wait are rejected. */
  close(): Promise<void>
}
