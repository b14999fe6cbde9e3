// Runs before each file of those that one process runs one after the other: what a file leaves behind would meet the
// next one, and fail it for no reason that it shows. So who leaves something fails.

import { setTimeout } from "node:timers/promises"
import { afterAll, expect } from "vitest"

/** How long what is closing may take to be gone. */
const GONE_MS = 20_000
/** What is always there now and then: reads and turns that are under way. */
const PASSING = new Set(["Immediate", "FSReqCallback", "FSReqPromise", "TTYWrap"])

/** Sockets, timers, threads and processes that keep this process alive, and its environment. */
function state(): Map<string, number> {
  const counts = new Map<string, number>()
  const add = (what: string, count = 1): void => void counts.set(what, (counts.get(what) ?? 0) + count)
  for (const resource of process.getActiveResourcesInfo()) if (!PASSING.has(resource)) add(resource)
  for (const event of process.eventNames())
    add(`listener of ${String(event)}`, process.listenerCount(String(event)))
  for (const [name, value] of Object.entries(process.env)) add(`environment ${name}=${value}`)
  add(`directory ${process.cwd()}`)
  return counts
}

/** What is there and was not when the file began. */
function left(): string[] {
  return [...state()].flatMap(([what, count]) => {
    const more = count - (before.get(what) ?? 0)
    return more > 0 ? [`${more} × ${what}`] : []
  })
}

const before = state()

afterAll(async () => {
  const endMs = performance.now() + GONE_MS
  while (left().length > 0 && performance.now() < endMs) await setTimeout(5)
  expect(left(), "what this file leaves behind").toEqual([])
})
