import { deepStrictEqual, strictEqual } from "node:assert"
import { test } from "vitest"
import { Overload } from "./overload.ts"

/** A thread on which each call takes `callMs`, and a refusal nothing. */
class Thread {
  nowMs = 0
  readonly overload: Overload
  #end: (() => void) | undefined

  constructor() {
    this.overload = new Overload(
      () => this.nowMs,
      (end) => {
        this.#end = end
      },
    )
  }

  /** So many calls come at once. @returns how many are done */
  turn(calls: number, callMs: number, timeLeftMs = Number.POSITIVE_INFINITY): number {
    let done = 0
    for (let each = 0; each < calls; each++) {
      if (this.overload.refuses(timeLeftMs)) continue
      this.nowMs += callMs
      done++
    }
    this.#end?.()
    return done
  }
}

function makeOverloaded(thread: Thread): void {
  for (let each = 0; each < 5; each++) thread.turn(100, 1)
  strictEqual(thread.overload.isOverloaded, true)
}

test("a burst that is done in less than half a second is not refused, however late its calls are", () => {
  const thread = new Thread()
  strictEqual(thread.turn(499, 1), 499)
  strictEqual(thread.turn(10, 1), 10)
  strictEqual(thread.turn(499, 1), 499)
  strictEqual(thread.overload.isOverloaded, false)
  strictEqual(thread.overload.refusedCount, 0)
})

test("when all turns are late for half a second, each does the calls of its first 50 ms and refuses the rest", () => {
  const thread = new Thread()
  const done = Array.from({ length: 8 }, () => thread.turn(100, 1))
  deepStrictEqual(done, [100, 100, 100, 100, 100, 50, 50, 50])
  strictEqual(thread.overload.refusedCount, 150)
})

test("callers who wait for their answers are not refused while a turn of them takes 50 ms at most", () => {
  const thread = new Thread()
  for (let each = 0; each < 50; each++) strictEqual(thread.turn(49, 1), 49)
  strictEqual(thread.overload.isOverloaded, true)
})

test("calls whose deadline is near are refused, but for sixteen of each turn", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  deepStrictEqual([thread.turn(500, 1, 99), thread.turn(20, 1, 99), thread.turn(20, 1, 100)], [16, 16, 20])
})

test("sixteen calls are done in each turn, however slow they are", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  deepStrictEqual([thread.turn(20, 100), thread.turn(20, 100)], [16, 16])
})

test("one turn in time begins the half second anew", () => {
  const thread = new Thread()
  for (let each = 0; each < 4; each++) thread.turn(100, 1)
  thread.turn(24, 1)
  for (let each = 0; each < 4; each++) thread.turn(100, 1)
  strictEqual(thread.overload.isOverloaded, false)
  thread.turn(100, 1)
  strictEqual(thread.overload.isOverloaded, true)
})

test("it is over when no turn was late for half a second", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  for (let each = 0; each < 20; each++) thread.turn(24, 1)
  strictEqual(thread.overload.isOverloaded, true)
  thread.turn(24, 1)
  strictEqual(thread.overload.isOverloaded, false)
  strictEqual(thread.turn(400, 1), 400)
})

test("bursts with idle time between them are no overload, nor is one long pause", () => {
  const thread = new Thread()
  for (let each = 0; each < 20; each++) {
    strictEqual(thread.turn(400, 1), 400)
    thread.nowMs += 25
  }
  strictEqual(thread.turn(3, 10_000), 3)
  strictEqual(thread.turn(400, 1), 400)
  strictEqual(thread.overload.refusedCount, 0)
})

test("it is over when no call comes for half a second", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  thread.nowMs += 499
  strictEqual(thread.overload.isOverloaded, true)
  thread.nowMs += 1
  strictEqual(thread.overload.isOverloaded, false)
  strictEqual(thread.turn(400, 1), 400)
})
