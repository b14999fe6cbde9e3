// How long reads and writes take while versions are made and merges run, against the same without them.
//
//   due      |    |    |    |    |    |    |         an operation every 100 microseconds, reads and writes in turn
//   turns    ─x────x──[ held up ]─xxx──x────x──►     each turn of the event loop does what is due
//                      └────────►│ latency: from the moment when it was due to its answer
//
// The rate is fixed: whoever is held up does not ask less meanwhile, and the wait of all who came is counted.

import { performance } from "node:perf_hooks"
import { setImmediate as nextTurn } from "node:timers/promises"
import { seededRandom } from "./random.ts"
import type { LatencyFigures, OperationFigures } from "./snapshot-figures.ts"
import type { MeasuredState } from "./snapshot-state.ts"

const OPERATIONS_PER_SECOND = 10_000
const OPERATION_MS = 1000 / OPERATIONS_PER_SECOND
const SNAPSHOT_INTERVAL_MS = 100
/** Answers that are outstanding at most; at the end all are waited for. */
const OUTSTANDING_MAX = 100_000

/** `seconds` without versions, then twice as long with one every 100 ms. */
export async function measureLatency(
  state: MeasuredState,
  keys: number,
  seconds: number,
): Promise<LatencyFigures> {
  await operate(state, keys, seconds / 4)
  const quiet = await operate(state, keys, seconds)
  const before = state.engine.statistics().mergeCount
  let versions = 0
  let isOver = false
  const snapshots = (async () => {
    while (!isOver) {
      const next = performance.now() + SNAPSHOT_INTERVAL_MS
      await state.snapshot()
      versions++
      while (performance.now() < next && !isOver) await nextTurn()
    }
  })()
  const busy = await operate(state, keys, 2 * seconds)
  isOver = true
  await snapshots
  const mergeCount = state.engine.statistics().mergeCount - before
  return {
    operationsPerSecond: OPERATIONS_PER_SECOND,
    quiet,
    busy: { ...busy, versions, mergeCount },
  }
}

async function operate(state: MeasuredState, keys: number, seconds: number): Promise<OperationFigures> {
  const count = Math.ceil(seconds * OPERATIONS_PER_SECOND)
  const random = seededRandom(count)
  const readMs = new Float64Array(Math.ceil(count / 2))
  const writeMs = new Float64Array(Math.floor(count / 2))
  let outstanding = 0
  const start = performance.now()
  for (let at = 0; at < count; ) {
    const due = start + at * OPERATION_MS
    if (performance.now() < due || outstanding >= OUTSTANDING_MAX) {
      await nextTurn()
      continue
    }
    const times = at % 2 === 0 ? readMs : writeMs
    const slot = at >> 1
    const record = random(keys)
    const pending = at % 2 === 0 ? state.engine.get(state.keyOf(record)) : state.set(record)
    at++
    if (pending instanceof Promise) {
      outstanding++
      void pending.finally(() => {
        times[slot] = performance.now() - due
        outstanding--
      })
    } else times[slot] = performance.now() - due
  }
  while (outstanding > 0) await nextTurn()
  readMs.sort()
  writeMs.sort()
  return {
    readP99Ms: atPart(readMs, 0.99),
    writeP99Ms: atPart(writeMs, 0.99),
    readMedianMs: atPart(readMs, 0.5),
    writeMedianMs: atPart(writeMs, 0.5),
  }
}

function atPart(sorted: Float64Array, part: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]!
}
