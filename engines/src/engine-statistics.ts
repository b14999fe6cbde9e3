// What an engine says of itself in numbers.

import type { LogFigures } from "./log/log.ts"

/** The log of durability `log`: an entry is a batch of writes. */
export type LogStatistics = LogFigures

/** What an engine holds and has done. Counts are since it was opened. */
export interface EngineStatistics {
  /**
   * Keys that have a value. On `lsm-tree` an estimate, exact when no key was written twice: keys in each memtable and
   * run, less two for each tombstone. A write there does not ask whether its key is on disk.
   */
  readonly recordCount: number
  /** Memory that the records take: maps, regions, memtables. */
  readonly memoryBytes: number
  /** Memory that the index takes: hashes and addresses, or filters and fences. */
  readonly indexBytes: number
  /** Length of the runs of the state. */
  readonly diskBytes: number
  /** How much of that is on this disk; the rest is being fetched from the repository. */
  readonly bytesLocal: number
  /** How much of it the repository turned out to hold damaged: reads of it are refused with `DATA_LOSS`. */
  readonly bytesDamaged: number
  /** How many runs each level holds, from level 0 on. */
  readonly runsByLevel: readonly number[]
  /** How often memory was written to a run. */
  readonly flushCount: number
  /** Merges that are done. */
  readonly mergeCount: number
  /** Bytes of runs written by flushes. */
  readonly bytesFlushed: number
  /** Bytes of runs written by merges. */
  readonly bytesMerged: number
  /** Bytes of merged runs that wait for their upload, in whose place versions list what they were made of. */
  readonly bytesMergedWaiting: number
  /** Bytes that were uploaded of merged runs, those of uploads given up included. */
  readonly bytesMergedStored: number
  /** For how long merges ran, in milliseconds. */
  readonly mergingMs: number
  /** Merges that failed; they are tried again. */
  readonly mergeFailureCount: number
  /** Runs that are to be merged now, those of the merge that is under way included. */
  readonly mergeDebt: {
    /** How many. */
    readonly runs: number
    /** Their length. */
    readonly bytes: number
  }
  /** Reads that asked the disk. */
  readonly diskReadCount: number
  /** Records written, deletions among them. */
  readonly recordsWritten: number
  /** Their bytes, as they are stored. */
  readonly bytesWritten: number
  /** How many of all that were ever written came after the newest version: what is lost with the machine. */
  readonly recordsUnsaved: number
  /** Bytes of the records that no version holds. */
  readonly bytesUnsaved: number
  /** Writes that had to wait. */
  readonly stallCount: number
  /** For how long at least one write waited for memory, and at least one for merges: the sum, in milliseconds. */
  readonly stalledMs: number
  /** How many of them because memory was full: the disk was behind. The others: merges were behind. */
  readonly memoryStallCount: number
  /** For how long at least one write waited for memory, in milliseconds. */
  readonly memoryStalledMs: number
  /** Sessions that the state knows. */
  readonly sessionCount: number
  /** Frames of sessions that came again, and were answered from what is remembered of them. */
  readonly resentFrameCount: number
  /** Storage failed: writes are refused until the engine is opened again. */
  readonly isPoisoned: boolean
  /** The disk is full: writes are refused until it is not. */
  readonly isStorageFull: boolean
  /** Undefined under durability `snapshot`. */
  readonly log?: LogStatistics | undefined
}
