import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { test } from "vitest"
import { Overload } from "./overload.ts"

/** A thread on which each call takes `callMs`, and a refusal a third of it. */
class Thread {
  nowMs = 0
  /** Shares of the next turn, as they were told; undefined: all calls are taken. */
  readonly told: (number | undefined)[] = []
  readonly overload: Overload
  #end: (() => void) | undefined

  constructor() {
    this.overload = new Overload(
      (shares) => this.told.push(shares?.share),
      () => this.nowMs,
      (end) => {
        this.#end = end
      },
    )
  }

  /** So many calls come at once on each connection. @returns how many are done of each */
  turnOf(connections: readonly (readonly [object, number])[], callMs: number): number[] {
    const done = connections.map(([connection, calls]) => this.#come(connection, calls, callMs))
    this.#end?.()
    return done
  }

  /** So many calls come at once on one connection. @returns how many are done */
  turn(calls: number, callMs: number, timeLeftMs = Number.POSITIVE_INFINITY): number {
    const done = this.#come(only, calls, callMs, timeLeftMs)
    this.#end?.()
    return done
  }

  #come(connection: object, calls: number, callMs: number, timeLeftMs = Number.POSITIVE_INFINITY): number {
    let done = 0
    for (let each = 0; each < calls; each++) {
      const isTaken = this.overload.judge(connection, timeLeftMs) === "taken"
      this.nowMs += isTaken ? callMs : callMs / 3
      if (isTaken) done++
    }
    return done
  }
}

const only = {}

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

test("when all turns are late for half a second, each does the calls of 20 ms and refuses the rest", () => {
  const thread = new Thread()
  const done = Array.from({ length: 8 }, () => thread.turn(100, 1))
  deepStrictEqual(done, [100, 100, 100, 100, 100, 20, 20, 20])
  strictEqual(thread.overload.refusedCount, 240)
})

test("every connection has its share, and who has fewer calls is not refused for the others", () => {
  const thread = new Thread()
  const [one, two, few] = [{}, {}, {}]
  const turn = (): number[] =>
    thread.turnOf(
      [
        [one, 100],
        [two, 100],
        [few, 5],
      ],
      0.5,
    )
  for (let each = 0; each < 5; each++) deepStrictEqual(turn(), [100, 100, 5])
  strictEqual(thread.overload.isOverloaded, true)
  deepStrictEqual(turn(), [13, 13, 5])
  deepStrictEqual(turn(), [13, 13, 5])
})

test("a call is above its connection's share only when a whole share came before it in its turn", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  const verdicts = Array.from({ length: 60 }, () => thread.overload.judge(only, 50))
  deepStrictEqual(
    ["taken", "refused", "above share"].map((each) => verdicts.filter((verdict) => verdict === each).length),
    [16, 4, 40],
  )
  deepStrictEqual(verdicts.slice(20), Array(40).fill("above share"))
})

test("callers who wait for their answers are not refused while a turn of them takes less than 50 ms", () => {
  const thread = new Thread()
  for (let each = 0; each < 50; each++) strictEqual(thread.turn(49, 1), 49)
  strictEqual(thread.overload.isOverloaded, true)
})

test("calls whose deadline is near are refused, but for sixteen of each turn", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  // Two turns may be as long as the last one was.
  strictEqual(thread.turn(40, 1, 199), 16)
  deepStrictEqual([thread.turn(20, 1, 99), thread.turn(20, 1, 100)], [16, 20])
})

test("one long turn brings no deadline nearer", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  for (let each = 0; each < 2; each++) thread.turn(20, 1)
  strictEqual(thread.turn(1, 1000), 1)
  strictEqual(thread.turn(20, 1, 150), 20)
})

test("calls that have become slow end their turn after a quarter of a second, but for sixteen", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  deepStrictEqual([thread.turn(40, 14), thread.turn(40, 100)], [18, 16])
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

test("it is over when no turn was late and no call refused for half a second", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  for (let each = 0; each < 10; each++) thread.turn(20, 1)
  thread.overload.countRefused(1)
  for (let each = 0; each < 25; each++) thread.turn(20, 1)
  strictEqual(thread.overload.isOverloaded, true)
  thread.turn(20, 1)
  strictEqual(thread.overload.isOverloaded, false)
  strictEqual(thread.turn(400, 1), 400)
})

test("after each turn of an overload the shares of the next one are told, and its end once", () => {
  const thread = new Thread()
  makeOverloaded(thread)
  deepStrictEqual(thread.told, [])
  thread.turn(100, 1)
  thread.turn(100, 0.5)
  thread.nowMs += 500
  strictEqual(thread.overload.isOverloaded, false)
  ok(!thread.overload.isOverloaded)
  deepStrictEqual(thread.told, [20, 40, undefined])
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
