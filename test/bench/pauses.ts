// How long the writing thread is held while flushes and merges run behind it.
//
//   turn      turn                turn      a chain of setImmediate notes the time of each turn of the event loop;
//    |- slice -|- slice -- held ---|        the writer writes a short slice in each. A turn that takes longer than
//                   [collector]             its neighbours is a pause; what the collector took of it is known apart.
//
// Waiting for back-pressure is no pause: the thread is free meanwhile. It is counted by itself.

import { PerformanceObserver, performance } from "node:perf_hooks"
import { setImmediate as nextTurn } from "node:timers/promises"
import type { Engine } from "@varve/engines"
import { keyOrder } from "./distributions.ts"
import type { PauseFigures } from "./engine-figures.ts"
import { newKey, setKey } from "./workload.ts"

/** Writes of one turn: some tens of microseconds. */
const SLICE = 64
const ORDER_LENGTH = 2 ** 20
/** Merges that have to happen before the measurement ends, and what it may take at most. */
const MERGES_WANTED = 3
const SECONDS_MAX = 20
/** Turns that are kept; the measurement ends when there is no room for more. */
const TURNS_MAX = 2 ** 21

/** Overwrites random keys for `seconds`, and on until merges were seen. */
export async function measurePauses(engine: Engine, keys: number, seconds: number): Promise<PauseFigures> {
  const order = keyOrder("uniform", keys, ORDER_LENGTH, 1)
  const key = newKey()
  const value = Buffer.alloc(100, "p")
  const starts = new Float64Array(TURNS_MAX)
  let turns = 0
  let waits = 0
  let longestWaitMs = 0
  const collections: { startTime: number; duration: number }[] = []
  const observer = new PerformanceObserver((list) => void collections.push(...list.getEntries()))
  observer.observe({ entryTypes: ["gc"] })

  let writing = true
  const tick = (): void => {
    starts[turns++] = performance.now()
    if (writing && turns < TURNS_MAX) setImmediate(tick)
  }
  const before = engine.statistics().mergeCount
  const started = performance.now()
  tick()
  let at = 0
  for (;;) {
    for (const end = at + SLICE; at < end; at++) {
      setKey(key, order[at % ORDER_LENGTH]!)
      const pending = engine.set(key, value)
      if (pending === undefined) continue
      const asked = performance.now()
      await pending
      waits++
      longestWaitMs = Math.max(longestWaitMs, performance.now() - asked)
    }
    await nextTurn()
    const elapsed = (performance.now() - started) / 1000
    const merges = engine.statistics().mergeCount - before
    if (elapsed >= SECONDS_MAX || turns >= TURNS_MAX) break
    if (elapsed >= seconds && (merges >= MERGES_WANTED || engine.statistics().runsByLevel.length === 0)) break
  }
  writing = false
  await nextTurn()
  collections.push(...observer.takeRecords())
  observer.disconnect()
  return {
    ...turnFigures(starts.subarray(0, turns), collections),
    waits,
    longestWaitMs,
    merges: engine.statistics().mergeCount - before,
  }
}

type Turns = Pick<PauseFigures, "turns" | "p99Ms" | "maxMs" | "maxWithoutCollectorMs" | "collectorMaxMs">

/** Figures of turns that began at `starts`, with the collections that happened meanwhile. */
export function turnFigures(
  starts: Float64Array,
  collections: readonly { readonly startTime: number; readonly duration: number }[],
): Turns {
  const lengths = new Float64Array(Math.max(0, starts.length - 1))
  for (let i = 0; i < lengths.length; i++) lengths[i] = starts[i + 1]! - starts[i]!
  const sorted = lengths.toSorted()
  for (const { startTime, duration } of collections) {
    for (let i = turnAt(starts, startTime); i < lengths.length; i++) {
      const overlap = Math.min(starts[i + 1]!, startTime + duration) - Math.max(starts[i]!, startTime)
      if (overlap <= 0) break
      lengths[i]! -= overlap
    }
  }
  return {
    turns: lengths.length,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    maxMs: sorted.at(-1) ?? 0,
    maxWithoutCollectorMs: lengths.reduce((longest, length) => Math.max(longest, length), 0),
    collectorMaxMs: collections.reduce((longest, { duration }) => Math.max(longest, duration), 0),
  }
}

/** The turn in which `time` lies: the last that began at or before it; the first for times before all. */
function turnAt(starts: Float64Array, time: number): number {
  let low = 0
  let high = starts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (starts[middle]! <= time) low = middle + 1
    else high = middle
  }
  return Math.max(0, low - 1)
}
