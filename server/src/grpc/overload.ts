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
//   overloaded ── no turn late and no call refused, or no turn at all, for LATE_MS ──► calm
//
// Overloaded, in each turn: of each connection its share of calls is done (turn-shares.ts), CALLS_LEAST of all together at
// least; the others are refused, and so are those whose deadline is near: they have waited at their client, and an answer
// would come too late.
//
// A burst that is done within LATE_MS is no overload, nor are bursts with idle time between them, nor a pause of the
// machine. As CoDel does it (Nichols and Jacobson, "Controlling Queue Delay", 2012): what counts is the shortest wait
// of a while, not the longest or the mean.
// Frames of pipelines are held back by flow control, and never refused for this.

import { TurnShares } from "./turn-shares.ts"

/** Calls may wait as long for others, now and then: some 300 reads of memory in a row. */
const LATE_TURN_MS = 25
/** How long they have to, before any is refused. */
const LATE_MS = 500
/** So that a pause of the machine, which makes one turn long, is not taken for work. */
const LATE_TURNS_LEAST = 2
/** The deadline of a call is near: it comes before this many turns are over that take as long as the last ones, or `TIME_LEFT_MS`. */
const TURNS_LEFT = 2
const TIME_LEFT_MS = 100
/** However few calls were done: they may have become slower. */
const LONGEST_TURN_MS = 250
/** Of all connections together, and within their shares: done whenever their deadline is, and however slow they are. */
const CALLS_LEAST = 16

/** What becomes of a call: above the share of its connection it is refused, too. */
export type Verdict = "taken" | "refused" | "above share"

export class Overload {
  readonly #shares = new TurnShares()
  readonly #turnEnded: (shares: TurnShares | undefined) => void
  readonly #now: () => number
  readonly #afterTurn: (end: () => void) => unknown
  readonly #end = (): void => this.#endTurn()
  #isInTurn = false
  #turnStartMs = 0
  #doneCount = 0
  #byHandCount = 0
  #lastTurnMs = 0
  /** The shorter of the last two turns: a pause of the machine makes one long. */
  #usualTurnMs = 0
  #turnEndMs = Number.NEGATIVE_INFINITY
  #lateSinceMs: number | undefined
  #lateTurns = 0
  #calmSinceMs: number | undefined
  #isOverloaded = false
  #refusedCount = 0
  #refusedInTurn = 0

  /**
   * @param turnEnded told of the shares in the next turn; undefined: all calls are taken
   * @param now monotonic, in milliseconds
   * @param afterTurn calls back when what has come in this turn is done
   */
  constructor(
    turnEnded: (shares: TurnShares | undefined) => void,
    now: () => number = () => performance.now(),
    afterTurn: (end: () => void) => unknown = setImmediate,
  ) {
    this.#turnEnded = turnEnded
    this.#now = now
    this.#afterTurn = afterTurn
  }

  get isOverloaded(): boolean {
    this.noticeIdleness()
    return this.#isOverloaded
  }

  /** Calls refused so far. */
  get refusedCount(): number {
    return this.#refusedCount
  }

  /** To be called now and then: nobody tells that no call comes. */
  noticeIdleness(): void {
    if (!this.#isInTurn) this.#noticeIdle(this.#now())
  }

  /** So many calls more were refused, unseen. */
  countRefused(count: number): void {
    this.#refusedCount += count
    this.#refusedInTurn += count
  }

  /** A call has come on `connection`, with so much time until its deadline. */
  judge(connection: object, timeLeftMs: number): Verdict {
    const nowMs = this.#now()
    if (!this.#isInTurn) {
      this.#noticeIdle(nowMs)
      this.#isInTurn = true
      this.#turnStartMs = nowMs
      this.#doneCount = 0
      this.#byHandCount = 0
      this.#shares.beginTurn()
      this.#afterTurn(this.#end)
    }
    const verdict = this.#isOverloaded ? this.#verdict(connection, timeLeftMs, nowMs) : "taken"
    if (verdict !== "above share") this.#shares.take(connection)
    if (verdict === "taken") this.#doneCount++
    else {
      this.#byHandCount++
      this.countRefused(1)
    }
    return verdict
  }

  #verdict(connection: object, timeLeftMs: number, nowMs: number): Verdict {
    if (this.#shares.of(connection) >= this.#shares.share) return "above share"
    if (this.#doneCount < CALLS_LEAST) return "taken"
    if (this.#doneCount >= this.#shares.callsMax) return "refused"
    if (nowMs - this.#turnStartMs >= LONGEST_TURN_MS) return "refused"
    return timeLeftMs < Math.max(TIME_LEFT_MS, TURNS_LEFT * this.#usualTurnMs) ? "refused" : "taken"
  }

  /** No call has come since the last turn: what was late then tells nothing of now. */
  #noticeIdle(nowMs: number): void {
    const idleMs = nowMs - this.#turnEndMs
    if (idleMs >= LATE_TURN_MS) this.#forgetLateTurns()
    if (idleMs >= LATE_MS) this.#endOverload()
  }

  #endTurn(): void {
    this.#isInTurn = false
    const nowMs = this.#now()
    const tookMs = nowMs - this.#turnStartMs
    this.#turnEndMs = nowMs
    this.#usualTurnMs = Math.min(tookMs, this.#lastTurnMs)
    this.#lastTurnMs = tookMs
    if (tookMs >= LATE_TURN_MS) {
      this.#lateSinceMs ??= this.#turnStartMs
      this.#lateTurns++
    } else this.#forgetLateTurns()
    if (!this.#isOverloaded) this.#shares.end()
    this.#shares.endTurn(tookMs, this.#doneCount, this.#byHandCount)
    if (this.#isOverloaded) this.#endOverloadedTurn(nowMs)
    else if (this.#lateTurns >= LATE_TURNS_LEAST && nowMs - this.#lateSinceMs! >= LATE_MS) {
      this.#isOverloaded = true
      this.#calmSinceMs = undefined
    }
  }

  #endOverloadedTurn(nowMs: number): void {
    this.#turnEnded(this.#shares)
    const isCalm = this.#lateTurns === 0 && this.#refusedInTurn === 0
    this.#refusedInTurn = 0
    if (!isCalm) this.#calmSinceMs = undefined
    else {
      this.#calmSinceMs ??= this.#turnStartMs
      if (nowMs - this.#calmSinceMs >= LATE_MS) this.#endOverload()
    }
  }

  #endOverload(): void {
    if (!this.#isOverloaded) return
    this.#isOverloaded = false
    this.#turnEnded(undefined)
  }

  #forgetLateTurns(): void {
    this.#lateSinceMs = undefined
    this.#lateTurns = 0
  }
}
