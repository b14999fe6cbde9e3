// Whether the thread has more calls than it can take, and which of them are refused then.
//
// What has come on all connections is done in one turn of the event loop, so a call waits as long as a turn lasts, and
// turns grow while calls come faster than they are done. Measured at twice the load, without refusing: seven of eight
// answers come when nobody waits for them any more (test/bench/README.md).
//
//   turn  │ call call call … call │ answers are written │        late: LATE_TURN_MS or more
//         └─ measured from the first call to the last ──┘
//
//   calm ── LATE_TURNS_LEAST turns or more, all late and one after the other, for LATE_MS ──► overloaded
//   overloaded ── no turn late, or no turn at all, for LATE_MS ──► calm
//
// Overloaded, in each turn: the calls of its first TURN_MS are done, CALLS_LEAST of them at least; the others are refused,
// which takes a third of the time, and so are those whose deadline is near: they have waited at their client, and an
// answer would come too late.
//
// A burst that is done within LATE_MS is no overload, nor are bursts with idle time between them, nor a pause of the
// machine. As CoDel does it (Nichols and Jacobson, "Controlling Queue Delay", 2012): what counts is the shortest wait
// of a while, not the longest or the mean.
// Frames of pipelines are held back by flow control, and never refused for this.

/** Calls may wait as long for others, now and then: some 300 reads of memory in a row. */
const LATE_TURN_MS = 25
/** What a turn takes while overloaded: callers who wait for their answers, and are many, are not refused for being late. */
const TURN_MS = 2 * LATE_TURN_MS
/** How long they have to, before any is refused. */
const LATE_MS = 500
/** So that a pause of the machine, which makes one turn long, is not taken for work. */
const LATE_TURNS_LEAST = 4
/** The deadline of a call is near: that long a call may be under way that is done in the turn after the next. */
const TIME_LEFT_MS = 2 * TURN_MS
/** Done in each turn, whatever else it was busy with. */
const CALLS_LEAST = 16

export class Overload {
  readonly #now: () => number
  readonly #afterTurn: (end: () => void) => unknown
  readonly #end = (): void => this.#endTurn()
  #isInTurn = false
  #turnStartMs = 0
  #callCount = 0
  #turnEndMs = Number.NEGATIVE_INFINITY
  #lateSinceMs: number | undefined
  #lateTurns = 0
  #calmSinceMs: number | undefined
  #isOverloaded = false
  #refusedCount = 0

  /** @param now monotonic, in milliseconds. @param afterTurn calls back when what has come in this turn is done */
  constructor(
    now: () => number = () => performance.now(),
    afterTurn: (end: () => void) => unknown = setImmediate,
  ) {
    this.#now = now
    this.#afterTurn = afterTurn
  }

  get isOverloaded(): boolean {
    if (!this.#isInTurn) this.#noticeIdleness(this.#now())
    return this.#isOverloaded
  }

  /** Calls refused so far. */
  get refusedCount(): number {
    return this.#refusedCount
  }

  /** A call has come, with so much time until its deadline. @returns whether it is to be refused */
  refuses(timeLeftMs: number): boolean {
    const nowMs = this.#now()
    if (!this.#isInTurn) {
      this.#noticeIdleness(nowMs)
      this.#isInTurn = true
      this.#turnStartMs = nowMs
      this.#callCount = 0
      this.#afterTurn(this.#end)
    }
    this.#callCount++
    if (!this.#isOverloaded || this.#callCount <= CALLS_LEAST) return false
    if (timeLeftMs >= TIME_LEFT_MS && nowMs - this.#turnStartMs < TURN_MS) return false
    this.#refusedCount++
    return true
  }

  /** No call has come since the last turn: what was late then tells nothing of now. */
  #noticeIdleness(nowMs: number): void {
    const idleMs = nowMs - this.#turnEndMs
    if (idleMs >= LATE_TURN_MS) this.#forgetLateTurns()
    if (idleMs >= LATE_MS) this.#isOverloaded = false
  }

  #endTurn(): void {
    this.#isInTurn = false
    const nowMs = this.#now()
    this.#turnEndMs = nowMs
    const isLate = nowMs - this.#turnStartMs >= LATE_TURN_MS
    if (isLate) {
      this.#calmSinceMs = undefined
      this.#lateSinceMs ??= this.#turnStartMs
      this.#lateTurns++
      if (this.#lateTurns >= LATE_TURNS_LEAST && nowMs - this.#lateSinceMs >= LATE_MS)
        this.#isOverloaded = true
    } else {
      this.#forgetLateTurns()
      this.#calmSinceMs ??= this.#turnStartMs
      if (nowMs - this.#calmSinceMs >= LATE_MS) this.#isOverloaded = false
    }
  }

  #forgetLateTurns(): void {
    this.#lateSinceMs = undefined
    this.#lateTurns = 0
  }
}
