import { deepStrictEqual, strictEqual } from "node:assert"
import { test } from "vitest"
import { TurnShares } from "./turn-shares.ts"

const connections = Array.from({ length: 64 }, () => ({}))

/** A turn in which so many connections have so many calls each, of so many milliseconds. */
function turn(
  shares: TurnShares,
  connectionCount: number,
  callsEach: number,
  callMs: number,
  refusedCount = 0,
): void {
  shares.beginTurn()
  for (const connection of connections.slice(0, connectionCount))
    for (let each = 0; each < callsEach; each++) shares.take(connection)
  const callCount = connectionCount * callsEach
  shares.endTurn(callCount * callMs, callCount, refusedCount)
}

test("a turn has the calls that take 20 ms, and every connection as many of them", () => {
  const shares = new TurnShares()
  deepStrictEqual([shares.callsMax, shares.share], [Infinity, Infinity])
  turn(shares, 4, 100, 0.25)
  deepStrictEqual([shares.callsMax, shares.share], [80, 20])
  turn(shares, 8, 40, 0.25)
  deepStrictEqual([shares.callsMax, shares.share], [80, 10])
})

test("there are no shares before a turn of calls that take 50 ms, nor after the end", () => {
  const shares = new TurnShares()
  turn(shares, 4, 49, 0.25)
  strictEqual(shares.share, Infinity)
  turn(shares, 4, 50, 0.25)
  strictEqual(shares.share, 20)
  turn(shares, 4, 20, 0.25)
  strictEqual(shares.share, 20)
  shares.end()
  deepStrictEqual([shares.callsMax, shares.share], [Infinity, Infinity])
  turn(shares, 4, 49, 0.25)
  strictEqual(shares.share, Infinity)
})

test("a call that was refused, which has waited for long at its client, makes shares too", () => {
  const shares = new TurnShares()
  turn(shares, 4, 20, 0.25)
  strictEqual(shares.share, Infinity)
  turn(shares, 4, 20, 0.25, 1)
  strictEqual(shares.share, 20)
})

test("a share is one call at least", () => {
  const shares = new TurnShares()
  turn(shares, 64, 1, 8)
  deepStrictEqual([shares.callsMax, shares.share], [2.5, 1])
})

test("time in which the thread had no processor is no time of calls", () => {
  const shares = new TurnShares()
  turn(shares, 4, 100, 0.25)
  for (let each = 0; each < 15; each++) turn(shares, 4, 40, 25)
  deepStrictEqual([shares.callsMax, shares.share], [80, 20])
})

test("three refusals by hand count as a call in the time of a turn", () => {
  const shares = new TurnShares()
  turn(shares, 4, 25, 1, 900)
  deepStrictEqual([shares.callsMax, shares.share], [80, 20])
})

test("calls that have become slower are noticed after 32 turns", () => {
  const shares = new TurnShares()
  turn(shares, 4, 100, 0.25)
  for (let each = 0; each < 31; each++) turn(shares, 4, 40, 1)
  strictEqual(shares.share, 20)
  turn(shares, 4, 40, 1)
  strictEqual(shares.share, 5)
})

test("a turn of a few short calls tells nothing of the others", () => {
  const shares = new TurnShares()
  turn(shares, 4, 100, 0.25)
  turn(shares, 1, 15, 0.01)
  strictEqual(shares.callsMax, 80)
  turn(shares, 1, 16, 0.01)
  strictEqual(shares.callsMax, 2000)
})

test("connections that come in every second turn keep their place", () => {
  const shares = new TurnShares()
  turn(shares, 16, 100, 0.0625)
  strictEqual(shares.share, 20)
  turn(shares, 4, 40, 0.0625)
  strictEqual(shares.share, 22)
  turn(shares, 16, 40, 0.0625)
  strictEqual(shares.share, 20)
})

test("calls of the turn are counted by connection until the next one begins", () => {
  const shares = new TurnShares()
  turn(shares, 2, 3, 1)
  deepStrictEqual(
    connections.slice(0, 3).map((each) => shares.of(each)),
    [3, 3, 0],
  )
  shares.beginTurn()
  strictEqual(shares.of(connections[0]!), 0)
})
