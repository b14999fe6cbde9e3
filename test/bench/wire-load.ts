// The load of the `wire` suite: callers in loops, each with one call on its way, or calls at a fixed rate whatever
// becomes of those before.

import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises"
import { isVarveError } from "@varve/client"
import { Latencies } from "./latencies.ts"
import { processCost } from "./process-cost.ts"
import { seededRandom } from "./random.ts"
import { type Caller, callerOf, type Load } from "./wire-callers.ts"
import type { WireCalls } from "./wire-clients.ts"
import type { CallRound } from "./wire-figures.ts"
import { newKey, setKey } from "./workload.ts"

/** Of a round, before its clock starts. */
const LEAD_SECONDS = 0.5

/** One round, as the parent asks for it. */
export interface WireRound {
  readonly workload: string
  readonly callers: number
  readonly seconds: number
  /** Calls a second, of `paced-…`. */
  readonly rate: number
}

/** Runs one round over `keys` keys. @param serverPid whose processor time counts, too */
export async function runRound(
  calls: WireCalls,
  { workload, callers, seconds, rate }: WireRound,
  keys: number,
  valueBytes: number,
  seed: number,
  serverPid: number,
): Promise<CallRound> {
  const random = seededRandom(seed)
  const value = Buffer.alloc(valueBytes, 97 + (seed % 26))
  const load: Load = { calls, value, nextKey: () => random(keys) }
  const newCaller = (): Caller => callerOf(workload.replace("paced-", ""), load)
  const run = (forSeconds: number, latencies: Latencies): Promise<number> =>
    workload.startsWith("paced-")
      ? paced(newCaller, rate, forSeconds, latencies)
      : inLoops(newCaller, callers, forSeconds, latencies)
  // Compiled and warm before what counts.
  await run(Math.min(LEAD_SECONDS, seconds), new Latencies())
  const latencies = new Latencies()
  const serverBefore = processCost(serverPid)
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  const operations = await run(seconds, latencies)
  const elapsed = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const server = processCost(serverPid)
  return {
    operations,
    seconds: elapsed,
    ...latencies.figures(),
    clientCpuSeconds: (user + system) / 1e6,
    clientResidentBytes: process.memoryUsage.rss(),
    serverCpuSeconds: server.cpuSeconds - serverBefore.cpuSeconds,
    serverResidentBytes: server.residentBytes,
  }
}

/** Sets every key once. */
export async function fill(calls: WireCalls, keys: number, valueBytes: number): Promise<void> {
  const value = Buffer.alloc(valueBytes, 97)
  let next = 0
  const loop = async (): Promise<void> => {
    const key = newKey()
    for (let i = next++; i < keys; i = next++) {
      setKey(key, i)
      await calls.set(key, value)
    }
  }
  await Promise.all(Array.from({ length: FILL_CALLERS }, loop))
}

const FILL_CALLERS = 256

async function inLoops(
  newCaller: () => Caller,
  callers: number,
  seconds: number,
  latencies: Latencies,
): Promise<number> {
  let operations = 0
  let isOver = false
  const timer = setTimeout(() => {
    isOver = true
  }, seconds * 1000)
  const loop = async (): Promise<void> => {
    const caller = newCaller()
    do {
      const startedMs = latencies.takesNext() ? performance.now() : undefined
      caller.check(await caller.call())
      operations += caller.records
      if (startedMs !== undefined) latencies.add(performance.now() - startedMs)
    } while (!isOver)
  }
  await Promise.all(Array.from({ length: callers }, loop))
  clearTimeout(timer)
  return operations
}

/**
 * Latency counts from when a call was due, not from when it was made: a pause of anybody shows in all calls that were
 * due in it. What is due is made a few calls a turn of the event loop, so that answers come in between, as requests to a worker
 * would. A call that is refused because too many wait counts as one that took the whole round.
 */
async function paced(
  newCaller: () => Caller,
  rate: number,
  seconds: number,
  latencies: Latencies,
): Promise<number> {
  const startedMs = performance.now()
  const count = Math.floor(rate * seconds)
  const idle: PacedCaller[] = []
  let made = 0
  let ended = 0
  let operations = 0
  let failure: unknown
  const host: PacedHost = {
    done(caller, records) {
      ended++
      operations += records
      idle.push(caller)
      if (caller.isTimed) latencies.add(performance.now() - caller.dueMs)
    },
    failed(caller, error) {
      ended++
      if (isVarveError(error, "OVERLOADED")) latencies.add(seconds * 1000)
      else failure = error
      idle.push(caller)
    },
  }
  while (ended < made || (made < count && failure === undefined)) {
    const due = failure === undefined ? ((performance.now() - startedMs) * rate) / 1000 : 0
    const dueNow = Math.min(count, due, made + TURN_CALLS)
    while (made < dueNow) {
      const caller = idle.pop() ?? new PacedCaller(newCaller(), host)
      caller.run(startedMs + (made++ * 1000) / rate, latencies.takesNext())
    }
    if (made < Math.min(count, due)) await nextTurn()
    else await sleep(TICK_MS)
  }
  if (failure !== undefined) throw failure
  return operations
}

interface PacedHost {
  done(caller: PacedCaller, records: number): void
  failed(caller: PacedCaller, error: unknown): void
}

/** Has one call on its way at a time, and makes nothing for it but its promises. */
class PacedCaller {
  dueMs = 0
  isTimed = false
  readonly #caller: Caller
  readonly #done: (answer: unknown) => void
  readonly #failed: (error: unknown) => void

  constructor(caller: Caller, host: PacedHost) {
    this.#caller = caller
    this.#done = (answer) => {
      caller.check(answer)
      host.done(this, caller.records)
    }
    this.#failed = (error) => host.failed(this, error)
  }

  run(dueMs: number, isTimed: boolean): void {
    this.dueMs = dueMs
    this.isTimed = isTimed
    this.#caller.call().then(this.#done, this.#failed)
  }
}

const TICK_MS = 1
const TURN_CALLS = 1000
