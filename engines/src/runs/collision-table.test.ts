import { expect, test } from "vitest"
import { CollisionTable } from "./collision-table.ts"

const MOVED = 1_000_000

/** A merge: places below MOVED go up by it, but for every tenth, whose record is gone. */
function newPlace(place: number): number | undefined {
  if (place >= MOVED) return undefined
  return place % 10 === 0 ? -1 : place + MOVED
}

test("collision table: a merge is followed in slices, whatever is compared or displaced in between", () => {
  const table = new CollisionTable()
  for (let place = 1; place <= 2000; place++) table.displace(place, 0, place)
  let next = 0
  let slices = 0
  for (; next >= 0; slices++) {
    next = table.relocateDisplaced(next, 100, newPlace)
    // One that was moved and one that was not turn out to be of keys that nobody else has; one comes from the index.
    if (slices === 3) {
      table.settle(101, Buffer.from("moved"), false)
      table.settle(1999, Buffer.from("not moved"), false)
      table.settle(1998, Buffer.from("overwritten"), true)
      table.displace(5000, 0, MOVED + 5000)
    }
  }
  table.relocateKnown(newPlace)

  expect(slices).toBeGreaterThan(19)
  expect(table.get(Buffer.from("moved"))).toBe(MOVED + 101)
  expect(table.get(Buffer.from("not moved"))).toBe(MOVED + 1999)
  expect(table.get(Buffer.from("overwritten"))).toBe(-1)
  expect(table.places()).toHaveLength(2)
  expect(table.displacedCount).toBe(2000 - 200 - 3 + 1)
  for (let place = 1; place <= 1997; place++) {
    if (place === 101) continue
    expect(table.candidates(place, 0)).toEqual(place % 10 === 0 ? [] : [MOVED + place])
  }
  expect(table.candidates(5000, 0)).toEqual([MOVED + 5000])
})

test("collision table: of a key's entries the newest counts, and known keys are told from displaced ones", () => {
  const table = new CollisionTable()
  const key = Buffer.from("a")
  expect(table.isEmpty).toBe(true)
  table.displace(1, 2, 10)
  table.displace(1, 2, 20)
  expect(table.candidates(1, 2)).toEqual([20, 10])
  table.settle(2, key, false)
  expect(table.get(key)).toBe(20)
  table.settle(1, key, false)
  expect(table.get(key)).toBe(20)
  table.displace(1, 2, 30)
  expect(table.displacedSince(key, 1, 2)).toEqual([30])
  table.set(key, 1, 2, 40)
  expect(table.displacedSince(key, 1, 2)).toEqual([])
  table.settle(3, Buffer.from("b"), true)
  expect(table.hashes()).toEqual(["000000010002"])
  expect(table.isEmpty).toBe(false)
})
