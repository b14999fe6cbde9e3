// How many calls each connection may have done in a turn of the event loop while more come than can be done: equal shares,
// so that who sends little is not refused for who sends much, and as many in all as take TURN_MS.
//
//   no shares ── a turn of calls that take FULL_TURN_MS, or one refused ──► shares ── `end`: the overload is over ──► no shares
//
// One refused had its deadline near: callers have more calls than HTTP/2 lets through in a turn, and these grow old.
//
//   calls of a turn   := TURN_MS / time of a call          the shortest mean of the last turns, WINDOW_TURNS or twice as many
//   share             := calls of a turn / connections     those of the last turns, the most of them
//
// The shortest: what a thread has to wait for a processor that others have is no time of a call. To do less in a turn for it
// would only make turns of nothing but waiting. (BBR takes the shortest round trip of a while for the same reason: Cardwell
// and others, "BBR: Congestion-Based Congestion Control", 2016.)

/** Callers who wait for their answers, and are many, fill turns too: as long as theirs are shorter, none is refused. */
const FULL_TURN_MS = 50
/** Time of the calls of a turn then. Frames of pipelines wait as long, although they are none of them. */
const TURN_MS = 20
const WINDOW_TURNS = 16
/** A turn of fewer calls tells nothing of the others, unless it was long. */
const CALLS_LEAST = 16
const LONG_TURN_MS = 10
/** Of the connections in the turn before: some come in every second turn only. */
const CONNECTIONS_KEPT = 7 / 8
/** Refusals by hand that take as long as a call: without them a turn of many would make calls seem slow, and shares small. */
const REFUSALS_PER_CALL = 3

export class TurnShares {
  /** Calls of each connection in this turn. */
  readonly #calls = new Map<object, number>()
  #connectionCount = 0
  /** Of the turns in this window, and in the one before. */
  #shortestMs = Number.POSITIVE_INFINITY
  #shortestBeforeMs = Number.POSITIVE_INFINITY
  #turnsInWindow = 0
  #areShared = false
  #callsMax = Number.POSITIVE_INFINITY
  #share = Number.POSITIVE_INFINITY

  /** Calls of a turn; infinite: there are no shares. */
  get callsMax(): number {
    return this.#callsMax
  }

  /** Calls of each connection in a turn, at least 1. */
  get share(): number {
    return this.#share
  }

  /** Calls of `connection` that were done in this turn, or the last one. */
  of(connection: object): number {
    return this.#calls.get(connection) ?? 0
  }

  beginTurn(): void {
    this.#calls.clear()
  }

  /** A call of `connection` is done in this turn. */
  take(connection: object): void {
    this.#calls.set(connection, this.of(connection) + 1)
  }

  /** The turn is over: it took so long, and so many calls were done and refused by hand in it. */
  endTurn(tookMs: number, doneCount: number, refusedCount: number): void {
    this.#connectionCount = Math.max(this.#calls.size, this.#connectionCount * CONNECTIONS_KEPT)
    if (doneCount >= CALLS_LEAST || (doneCount > 0 && tookMs >= LONG_TURN_MS))
      this.#noteCall(tookMs / (doneCount + refusedCount / REFUSALS_PER_CALL))
    const callMs = Math.min(this.#shortestMs, this.#shortestBeforeMs)
    this.#areShared ||= refusedCount > 0 || doneCount * callMs >= FULL_TURN_MS
    if (!this.#areShared) return
    this.#callsMax = TURN_MS / callMs
    this.#share = Math.max(1, Math.floor(this.#callsMax / this.#connectionCount))
  }

  /** All calls are done again. */
  end(): void {
    this.#areShared = false
    this.#callsMax = Number.POSITIVE_INFINITY
    this.#share = Number.POSITIVE_INFINITY
  }

  #noteCall(ms: number): void {
    if (this.#turnsInWindow === WINDOW_TURNS) {
      this.#shortestBeforeMs = this.#shortestMs
      this.#shortestMs = ms
      this.#turnsInWindow = 0
    }
    this.#shortestMs = Math.min(this.#shortestMs, ms)
    this.#turnsInWindow++
  }
}
