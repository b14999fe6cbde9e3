import { describe, expect, test } from "vitest"
import { DisplacedRecords } from "./displaced-records.ts"

interface Entry {
  readonly sequence: number
  readonly h1: number
  readonly h2: number
  place: number
}

/** A small generator of numbers below `bound`, the same for a seed. */
function numbers(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}

describe("displaced records", () => {
  test.each([1, 2, 3, 4])(
    "they are those of a list, through growth, gaps and forgetting, seed %i",
    (seed) => {
      const next = numbers(seed)
      const records = new DisplacedRecords()
      let list: Entry[] = []
      let sequence = 0
      for (let step = 0; step < 20_000; step++) {
        const adds = step % 4000 < 2500
        if (next(10) < (adds ? 8 : 3)) {
          sequence += next(20) === 0 ? 3 : 1
          // Few hashes, so that chains are long; in the upper halves too.
          const entry = {
            sequence,
            h1: (next(40) * 2 ** 27) % 2 ** 32,
            h2: next(3) * 2 ** 14,
            place: next(2 ** 31),
          }
          list.push(entry)
          records.add(entry.h1, entry.h2, entry.place, entry.sequence)
        } else if (list.length > 0) {
          const at = Math.min(next(list.length), next(list.length))
          expect(records.forget(list[at]!.sequence)).toBe(true)
          expect(records.forget(list[at]!.sequence)).toBe(false)
          list = list.toSpliced(at, 1)
        }
        const some = list[next(Math.max(1, list.length))]
        if (some === undefined) continue
        if (step % 50 > 0) continue
        const above = next(2) * some.sequence
        const wanted = list
          .filter((e) => e.h1 === some.h1 && e.h2 === some.h2 && e.sequence > above)
          .reverse()
        expect(records.withHash(some.h1, some.h2, above)).toEqual(wanted.map(({ place }) => place))
        expect([records.h1(some.sequence), records.h2(some.sequence)]).toEqual([some.h1, some.h2])
        expect(records.count).toBe(list.length)
        expect(records.oldestFrom(0)).toBe(list[0]!.sequence)
        expect(records.oldestFrom(some.sequence + 1)).toBe(list[list.indexOf(some) + 1]?.sequence ?? -1)
      }
      for (const entry of list) expect(records.forget(entry.sequence)).toBe(true)
      expect([records.count, records.oldestFrom(0)]).toEqual([0, -1])
    },
  )
})
