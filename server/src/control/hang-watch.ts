// Notices a shard whose event loop does not turn any more: an endless loop, a call into the system that never returns.
// Such a thread answers nothing and does not die, so that nobody would start it again.
//
//   shard: every second, when its loop turns     beat[0] += 1      memory that both threads see
//   main:  every second                          has it changed?   `hangSeconds` looks in a row without: it hangs
//
// Looks are counted, and not time: a machine that stood still, or a main thread that was held up, accuses nobody. Memory
// and no message, for an answer would wait in the port behind whatever else main is told.

import { BEAT_MS } from "../shard/shard-port.ts"

/** What a shard counts up. */
export function newBeat(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
}

export class HangWatch {
  readonly #looksMax: number
  readonly #beat: Int32Array
  #last: number
  #looks = 0

  /** @param hangSeconds how long a healthy shard may be busy without a turn of its loop */
  constructor(beat: Int32Array, hangSeconds: number) {
    this.#beat = beat
    this.#last = Atomics.load(beat, 0)
    this.#looksMax = Math.ceil((hangSeconds * 1000) / BEAT_MS)
  }

  /** To be called every `BEAT_MS`. @returns whether the shard hangs */
  look(): boolean {
    const now = Atomics.load(this.#beat, 0)
    this.#looks = now === this.#last ? this.#looks + 1 : 0
    this.#last = now
    return this.#looks >= this.#looksMax
  }
}
