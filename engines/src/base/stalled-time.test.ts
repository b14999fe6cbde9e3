import { strictEqual } from "node:assert"
import { test } from "vitest"
import { StalledTime } from "./stalled-time.ts"

test("waits that overlap count once, those under way too, and failures as well", async () => {
  let nowMs = 0
  const stalled = new StalledTime(() => nowMs)
  const first = withResolvers()
  const second = withResolvers()
  stalled.during(first.promise)
  stalled.during(first.promise)
  nowMs = 10
  strictEqual(stalled.ms, 10)
  stalled.during(second.promise)
  stalled.during(first.promise)
  nowMs = 15
  first.resolve()
  await first.promise
  nowMs = 20
  second.reject(new Error("closed"))
  await second.promise.catch(() => undefined)
  nowMs = 100
  strictEqual(stalled.ms, 20)
  const third = withResolvers()
  stalled.during(third.promise)
  nowMs = 103
  strictEqual(stalled.ms, 23)
  third.resolve()
})

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve = (): void => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<void>((done, failed) => {
    resolve = done
    reject = failed
  })
  return { promise, resolve, reject }
}
