// The figures of a shard over the lives of its threads. Samples of several shards are summed on the page, and who reads a
// sum that has become smaller takes it for one that began at 0 again, and counts all of it once more. So none becomes
// smaller:
//
//   thread           ──── answers ──── busy ──── answers ──╳ dies      next thread: answers ────
//   counters         of the answer │ of the last one │ …   of the last one     and those of the answer added
//   gauges           of the answer │ of the last one │ …   none                of the answer
//
// What a thread counts between its last answer and its death is on no page.

import { addUp, type Family } from "../metrics/families.ts"

export class ShardFigures {
  /** Of the threads that have died: what only grows. */
  #ended: readonly Family[] = []
  /** Of the thread that runs. */
  #last: readonly Family[] = []

  /** Those that are known now. */
  get families(): readonly Family[] {
    return [...this.#ended, ...this.#last]
  }

  /** @param families of the thread that runs */
  answered(families: readonly Family[]): void {
    this.#last = families
  }

  /** The thread has died. */
  ended(): void {
    this.#ended = addUp([...this.#ended, ...this.#last.filter(onlyGrows)])
    this.#last = []
  }
}

function onlyGrows({ type }: Family): boolean {
  return type === "counter" || type === "histogram"
}
