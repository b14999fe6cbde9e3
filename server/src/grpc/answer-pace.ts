// Calls whose answers are not taken: a client that stops reading has the daemon hold them, up to the limits of its
// streams, and many such clients would hold all that may be held. So when much of it is held, calls that are stuck are
// ended, as HTTP servers do it with clients that are too slow.
//
//   look     1         2         3         4         5             looks.ts
//   answer   ├ sent ── stuck ─── stuck ─── stuck ─── stuck ─► ended, if `isShort`; or as soon as it is
//
// A call is stuck while an answer of it is on its way and less than PACE_BYTES of others were taken since the look
// before. How much of an answer was taken is not known before all is, so it has `waitMs` of the looks, and as much again for
// each MiB of it, some 100 KB a second. While there is room nobody is ended: a worker may stand in a debugger for as
// long as it likes.

import { type Looks, looksAllowed } from "./looks.ts"

/** From one look to the next: 6.5 KB a second with the default of limits.handshakeSeconds. */
const PACE_BYTES = 16 * 1024

/** All calls that have answered something. */
export class AnswerPaces {
  readonly #all = new Set<AnswerPace>()

  /** @param isShort whether so much is held that calls that are stuck have to go */
  constructor(looks: Looks, isShort: () => boolean) {
    looks.watch(() => {
      const mayEnd = isShort()
      for (const pace of this.#all) if (pace.isStuck() && mayEnd) pace.giveUp()
    })
  }

  add(pace: AnswerPace): void {
    this.#all.add(pace)
  }

  delete(pace: AnswerPace): void {
    this.#all.delete(pace)
  }
}

/** The answers of one call, which go one after the other. */
export class AnswerPace {
  readonly #all: AnswerPaces
  readonly #giveUp: () => void
  #isSending = false
  #isWatched = false
  #isOver = false
  #sendingBytes = 0
  #takenBytes = 0
  #stuckLooks = 0

  /** @param giveUp ends the call */
  constructor(all: AnswerPaces, giveUp: () => void) {
    this.#all = all
    this.#giveUp = giveUp
  }

  /** An answer goes out. */
  sending(): void {
    this.#isSending = true
    if (this.#isWatched || this.#isOver) return
    this.#isWatched = true
    this.#all.add(this)
  }

  /** It has so many bytes. */
  measured(bytes: number): void {
    this.#sendingBytes = bytes
  }

  /** The transport has taken it. */
  taken(): void {
    this.#isSending = false
    this.#takenBytes += this.#sendingBytes
    this.#sendingBytes = 0
  }

  /** The call is over. */
  end(): void {
    this.#isOver = true
    if (this.#isWatched) this.#all.delete(this)
  }

  /** Called at each look. @returns whether it was stuck all the while */
  isStuck(): boolean {
    const isMoving = !this.#isSending || this.#takenBytes >= PACE_BYTES
    this.#takenBytes = 0
    this.#stuckLooks = isMoving ? 0 : this.#stuckLooks + 1
    return this.#stuckLooks > looksAllowed(this.#sendingBytes)
  }

  giveUp(): void {
    this.end()
    this.#giveUp()
  }
}
