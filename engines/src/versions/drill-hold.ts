// What a restore drill gives way to, seen from its own thread: counts of what is under way, in shared memory.
//
//   word 0  snapshots      a drill waits for them, for a while
//   word 1  collections    a drill waits until they are over
//   word 2  1: the drill is to end

/** What goes first. */
export type DrillHoldReason = "snapshot" | "collection"

const WORDS = 3
const SNAPSHOTS = 0
const COLLECTIONS = 1
const STOPPED = 2

/** One for all drills of a thread; `shared` makes the same hold in another one. */
export class DrillHold {
  readonly shared: Int32Array<SharedArrayBuffer>

  constructor(shared: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4 * WORDS))) {
    this.shared = shared
  }

  /** What a drill has to wait for; collections first. */
  get reason(): DrillHoldReason | undefined {
    if (Atomics.load(this.shared, COLLECTIONS) > 0) return "collection"
    return Atomics.load(this.shared, SNAPSHOTS) > 0 ? "snapshot" : undefined
  }

  get isStopped(): boolean {
    return Atomics.load(this.shared, STOPPED) !== 0
  }

  /** Drills ask the repository for nothing more while `work` runs; what they have asked for may still come. */
  async during<Result>(reason: DrillHoldReason, work: () => Promise<Result>): Promise<Result> {
    const word = reason === "snapshot" ? SNAPSHOTS : COLLECTIONS
    Atomics.add(this.shared, word, 1)
    try {
      return await work()
    } finally {
      Atomics.sub(this.shared, word, 1)
    }
  }

  /** Drills end, for good. */
  stop(): void {
    Atomics.store(this.shared, STOPPED, 1)
  }
}
