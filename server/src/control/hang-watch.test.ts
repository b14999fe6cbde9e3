import { deepStrictEqual, strictEqual } from "node:assert"
import { test } from "vitest"
import { HangWatch, newBeat } from "./hang-watch.ts"

test("hang watch: a shard hangs when so many looks in a row find no beat, and one beat clears it", () => {
  const beat = newBeat()
  const watch = new HangWatch(beat, 3)
  deepStrictEqual([watch.look(), watch.look()], [false, false])
  Atomics.add(beat, 0, 1)
  deepStrictEqual([watch.look(), watch.look(), watch.look(), watch.look()], [false, false, false, true])
  strictEqual(watch.look(), true)
})

test("hang watch: a count that wraps around is a beat like any other", () => {
  const beat = newBeat()
  beat[0] = 2 ** 31 - 1
  const watch = new HangWatch(beat, 1)
  Atomics.add(beat, 0, 1)
  strictEqual(watch.look(), false)
  strictEqual(watch.look(), true)
})
