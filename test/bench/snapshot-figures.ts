// The figures of the `snapshots` suite, as they stand in the JSON. README.md tells how they come about.

/** What one subject is: an engine, and whether its repository looks up what it holds. */
export interface Subject {
  readonly name: string
  readonly engine: string
  readonly deduplication: boolean
  /** Stores its whole state for each version: shown beside the others, no target of its own. */
  readonly isBaseline: boolean
}

export interface FullFigures {
  readonly bytes: number
  readonly ms: number
}

/** How long the caller's thread was held, over many versions with writes between them. */
export interface SealFigures {
  readonly count: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Versions after a hundredth of the keys changed. Ratios: bytes stored over bytes of keys and values changed. */
export interface IncrementFigures {
  readonly count: number
  readonly changedKeys: number
  readonly changedBytes: number
  readonly ratioMedian: number
  readonly ratioWorst: number
  readonly msMedian: number
  readonly msWorst: number
  /** Objects that came into the repository from before a version to behind it; uploads of merges are among them. */
  readonly objectsMedian: number
  /** Of versions during which no merged run was uploaded, the most. */
  readonly objectsWorst: number | null
  readonly mergeCount: number
  /** Bytes of all packs that came, uploads of merges included, over all bytes changed. */
  readonly uploadedRatio: number
}

/** From the moment an operation was due to its answer, at a fixed rate. */
export interface LatencyFigures {
  readonly operationsPerSecond: number
  readonly quiet: OperationFigures
  /** The same with a version every 100 ms, and the merges that come of it. */
  readonly busy: OperationFigures & { readonly versions: number; readonly mergeCount: number }
}

export interface OperationFigures {
  readonly readP99Ms: number
  readonly writeP99Ms: number
  readonly readMedianMs: number
  readonly writeMedianMs: number
}

/** One opening of a state whose process was killed. */
export interface RestoreRound {
  /** `openEngine` from the call to its promise. */
  readonly openMs: number
  /** From the call of `openEngine` to the first `get` answered. */
  readonly answerMs: number
  /** From the start of the process to the same. */
  readonly processMs: number
  /** `restore` of the newest version in the process that runs, to the first `get` answered. */
  readonly restoreMs: number
}

export interface SnapshotCaseFigures {
  readonly subject: Subject
  readonly keys: number
  readonly full: FullFigures
  readonly seals?: SealFigures
  readonly increments?: IncrementFigures
  readonly latency?: LatencyFigures
  readonly restores?: readonly RestoreRound[]
}
