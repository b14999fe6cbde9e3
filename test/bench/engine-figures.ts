// The figures of the `engines` suite, as they stand in the JSON. README.md tells their units.

/** Memory after the load. `undefined`: the contender does not tell. */
export interface LoadFigures {
  /** Growth of the process's resident memory from before the store was opened, per key. */
  readonly residentBytesPerKey?: number
  /** The engine's own count of its index, per key. */
  readonly indexBytesPerKey?: number
}

export interface AmplificationFigures {
  /** Uniformly random overwrites that were made for this. */
  readonly overwrites: number
  /** Bytes that reached files, per byte of keys and values written. */
  readonly writeAmplification?: number
  /** Bytes of files afterwards, per byte of live keys and values. */
  readonly spaceAmplification?: number
}

/** How long the writing thread was held, in milliseconds: one turn of the event loop to the next. */
export interface PauseFigures {
  readonly turns: number
  readonly p99Ms: number
  readonly maxMs: number
  /** The same without what the garbage collector took of each turn. */
  readonly maxWithoutCollectorMs: number
  readonly collectorMaxMs: number
  /** Writes that were asked to wait, and the longest wait: back-pressure, in which the thread is free. */
  readonly waits: number
  readonly longestWaitMs: number
  readonly merges: number
}

export interface Rate {
  readonly workload: string
  readonly contender: string
  /** Operations per second, one figure a round. Empty: the contender has no such workload. */
  readonly rounds: readonly number[]
}

/** The machine by itself: dependent random reads in a working set of the same bytes, in ns. */
export interface ReadFigures {
  /** One read of a record per operation, one figure a round. */
  readonly oneReadNs: readonly number[]
  /** A slot of an index, then the record it names. */
  readonly twoReadsNs: readonly number[]
}

export interface CaseFigures {
  readonly keys: number
  readonly memory: "all" | "bounded"
  readonly budgetBytes: number
  readonly rates: readonly Rate[]
  readonly machine: ReadFigures
  readonly loads: Readonly<Record<string, LoadFigures>>
  readonly amplification: Readonly<Record<string, AmplificationFigures>>
  readonly pauses: Readonly<Record<string, PauseFigures>>
}

export interface TargetFigure {
  readonly target: string
  /** Where it was measured; empty when it was not. */
  readonly at: string
  readonly measured: number | null
  /** The bound: at least this, or at most. */
  readonly bound: number
  readonly sense: "at least" | "at most"
  /** null: not measured. */
  readonly met: boolean | null
}

export interface EngineFigures {
  readonly cases: readonly CaseFigures[]
  readonly targets: readonly TargetFigure[]
}
