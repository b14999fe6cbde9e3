// The figures of a shard over the lives of its threads. Samples of several shards are summed on the page, and who reads a
// sum that has become smaller takes it for one that began at 0 again, and counts all of it once more. So none becomes
// smaller:
//
//   thread           ──── answers ──── busy ──── answers ──╳ dies      next thread: answers ────
//   counters         of the answer │ of the last one │ …   of the last one     and those of the answer added
//   gauges           of the answer │ of the last one │ …   none                of the answer
//
// Not by one bit either: numbers with fractions have another sum in another order, and rounding hides that only until two
// of them stand on two sides of a boundary. So a shard is one addend of the page, whichever thread runs:
//
//   counters of the page     (ended + last) of shard 0  +  (ended + last) of shard 1  +  …
//   a thread dies            ended := ended + last, last := 0: the same addend
//
// Addends that grow, added in the same order, have a sum that grows. What a thread counts between its last answer and its
// death is on no page.

import { addUp, type Family, largest } from "../metrics/families.ts"

export class ShardFigures {
  /** Of the threads that have died: what only grows. */
  #ended: readonly Family[] = []
  /** Of the thread that runs: what only grows, and what does not. */
  #last: readonly Family[] = []
  #measured: readonly Family[] = []

  /** Those that are known now, each once. */
  get families(): readonly Family[] {
    return [...this.#counted, ...this.#measured]
  }

  /** @param families of the thread that runs, each once. Of two pages made at once, the older answer may come last. */
  answered(families: readonly Family[]): void {
    this.#last = largest([...this.#last, ...families.filter(onlyGrows)])
    this.#measured = families.filter((each) => !onlyGrows(each))
  }

  /** The thread has died. */
  ended(): void {
    this.#ended = this.#counted
    this.#last = []
    this.#measured = []
  }

  get #counted(): readonly Family[] {
    return addUp([...this.#ended, ...this.#last])
  }
}

function onlyGrows({ type }: Family): boolean {
  return type === "counter" || type === "histogram"
}
