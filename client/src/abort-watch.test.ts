import { getEventListeners } from "node:events"
import { expect, test } from "vitest"
import { unwatchAbort, watchAbort } from "./abort-watch.ts"

test("abort watch: a signal has one listener, however many watch it, and none when nobody does", () => {
  const abort = new AbortController()
  const told: number[] = []
  const listeners = Array.from({ length: 50 }, (_, index) => () => {
    told.push(index)
    unwatchAbort(abort.signal, listeners[index]!)
  })
  for (const listener of listeners) watchAbort(abort.signal, listener)
  expect(getEventListeners(abort.signal, "abort").length).toBe(1)
  unwatchAbort(abort.signal, listeners[0]!)
  abort.abort()
  expect(told).toEqual(Array.from({ length: 49 }, (_, index) => index + 1))
  expect(getEventListeners(abort.signal, "abort").length).toBe(0)
})

test("abort watch: a signal that nobody watches any more can be watched again", () => {
  const abort = new AbortController()
  let count = 0
  const listener = (): void => {
    count++
  }
  watchAbort(abort.signal, listener)
  unwatchAbort(abort.signal, listener)
  expect(getEventListeners(abort.signal, "abort").length).toBe(0)
  watchAbort(abort.signal, listener)
  abort.abort()
  expect(count).toBe(1)
})
