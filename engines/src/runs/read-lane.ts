// How many point reads of a partition ask the disk at the same time; the others wait in the order in which they came.
// More at once gain nothing, since the system's threads that read are few, and asking is a call to the system
// each: a thousand reads asked in one turn would hold the thread for all of them. One that waits goes on when another
// is done, in that one's turn.
//
// Those that wait are not refused: each is a call of an engine that has not been answered, and callers bound those.

import { assert } from "../base/assert.ts"
import { RUN_BLOCK_BYTES } from "./run-format.ts"

/** Reads of one partition under way at the same time. With 64 pauses are twice as long, and as many reads are done. */
export const READS_AT_ONCE_MAX = 16
/** Waiting ones that have gone on are cut off the array in pieces: less would make each step cost its length. */
const GONE_MAX = 1024

/** One partition has it. Who enters leaves, whatever happens. */
export class ReadLane {
  readonly #atOnceMax: number
  readonly #waiting: (() => void)[] = []
  /** The first that waits. */
  #first = 0
  #underWay = 0
  /** Of those who have left. */
  readonly #buffers: Buffer[] = []

  constructor(atOnceMax: number = READS_AT_ONCE_MAX) {
    this.#atOnceMax = atOnceMax
  }

  get underWay(): number {
    return this.#underWay
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#first
  }

  /** Undefined: go on now. Otherwise go on when the promise resolves. */
  enter(): Promise<void> | undefined {
    if (this.#underWay < this.#atOnceMax) {
      this.#underWay++
      return undefined
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  leave(): void {
    assert(this.#underWay > 0, "who leaves has entered")
    const next = this.#waiting[this.#first]
    if (next === undefined) {
      this.#underWay--
      return
    }
    // The place goes from the one to the other.
    this.#first++
    if (this.#first === this.#waiting.length || this.#first === GONE_MAX) {
      this.#waiting.splice(0, this.#first)
      this.#first = 0
    }
    next()
  }

  /** A buffer for a block, for who has entered; who leaves gives it back before. */
  takeBuffer(): Buffer {
    return this.#buffers.pop() ?? Buffer.allocUnsafeSlow(RUN_BLOCK_BYTES)
  }

  giveBuffer(buffer: Buffer): void {
    this.#buffers.push(buffer)
  }
}
