import { expect, test } from "vitest"
import { CollisionTable } from "./collision-table.ts"

test("collision table: known keys follow a merge, and go when their record is gone", () => {
  const table = new CollisionTable()
  const places = { moved: 101, elsewhere: 77, gone: 110 }
  for (const [key, place] of Object.entries(places)) table.set(Buffer.from(key), 1, 2, place)
  table.displace(1, 2, 102)
  table.relocateKnown((place) => (place < 100 ? undefined : place % 10 === 0 ? -1 : place + 1000))
  expect(table.knownCount).toBe(2)
  expect(table.places()).toEqual([1101, 77])
  expect(table.get(Buffer.from("gone"))).toBe(-1)
  expect(table.candidates(1, 2)).toEqual([102])
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
