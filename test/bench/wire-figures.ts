// The figures of the `wire` suite, as they stand in the JSON. README.md tells their units.

import type { TargetFigure } from "./engine-figures.ts"

/** What one round of calls took. */
export interface CallRound {
  readonly operations: number
  readonly seconds: number
  /** Milliseconds from a call to its answer; of calls that come at a fixed rate, from the moment they were due. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly clientCpuSeconds: number
  readonly serverCpuSeconds: number
  readonly clientResidentBytes: number
  readonly serverResidentBytes: number
}

/** `set`, `get`, `mixed`: one record a call; `write`, `getMany`: 256; `paced-…`: at half of the best rate. */
export interface WireRow {
  readonly workload: string
  readonly contender: string
  readonly valueBytes: number
  /** Calls on their way at a time; 0: as many as the rate asks for. */
  readonly callers: number
  /** Calls a second that were due, of `paced-…`. */
  readonly offeredRate?: number
  readonly rounds: readonly CallRound[]
}

/** redis-benchmark counts by itself: operations per second, one a round. */
export interface BatchPeerRow {
  readonly workload: string
  readonly valueBytes: number
  readonly rates: readonly number[]
}

export interface WireFigures {
  readonly rows: readonly WireRow[]
  readonly redisBenchmark: readonly BatchPeerRow[]
  readonly targets: readonly TargetFigure[]
}
