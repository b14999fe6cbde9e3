// The load of the `wire` suite: callers in loops, each with one call on its way, or calls at a fixed rate whatever
// becomes of those before.

import { setTimeout as sleep } from "node:timers/promises"
import { isVarveError } from "@varve/client"
import { Latencies } from "./latencies.ts"
import { seededRandom } from "./random.ts"
import type { WireCalls } from "./wire-clients.ts"
import type { CallRound } from "./wire-figures.ts"
import { newKey, setKey } from "./workload.ts"

/** Records of one `write` or `getMany`. */
const BATCH_RECORDS = 256

/** One round, as the parent asks for it. */
export interface WireRound {
  readonly workload: string
  readonly callers: number
  readonly seconds: number
  /** Calls a second, of `paced-…`. */
  readonly rate: number
}

/** What the child knows of a round; the parent adds what the server used. */
export type ClientRound = Omit<CallRound, "serverCpuSeconds" | "serverResidentBytes">

/** One call: makes it and returns how many records it was about. */
type OneCall = () => Promise<number>

/** Runs one round over `keys` keys. */
export async function runRound(
  calls: WireCalls,
  { workload, callers, seconds, rate }: WireRound,
  keys: number,
  valueBytes: number,
  seed: number,
): Promise<ClientRound> {
  const random = seededRandom(seed)
  const value = Buffer.alloc(valueBytes, 97 + (seed % 26))
  const newCall = (): OneCall => callOf(workload.replace("paced-", ""), calls, () => random(keys), value)
  const latencies = new Latencies()
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  const operations = workload.startsWith("paced-")
    ? await paced(newCall, rate, seconds, latencies)
    : await inLoops(newCall, callers, seconds, latencies)
  const elapsed = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    operations,
    seconds: elapsed,
    ...latencies.figures(),
    clientCpuSeconds: (user + system) / 1e6,
    clientResidentBytes: process.memoryUsage.rss(),
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

function callOf(workload: string, calls: WireCalls, nextKey: () => number, value: Buffer): OneCall {
  // A call may keep its key until it is answered: whoever has one call on its way at a time has one key.
  const key = newKey()
  const set: OneCall = async () => {
    setKey(key, nextKey())
    await calls.set(key, value)
    return 1
  }
  const get: OneCall = async () => {
    setKey(key, nextKey())
    const found = await calls.get(key)
    if (found?.length !== value.length) throw new Error("a key was not found")
    return 1
  }
  switch (workload) {
    case "set":
      return set
    case "get":
      return get
    case "mixed":
      // Each caller by chance: callers that took turns would fall into step.
      return () => (nextKey() % 2 === 0 ? set() : get())
    case "write": {
      const records = Array.from({ length: BATCH_RECORDS }, () => ({ key: newKey(), value }))
      return async () => {
        for (const record of records) setKey(record.key, nextKey())
        await calls.write!(records)
        return BATCH_RECORDS
      }
    }
    case "getMany": {
      const batch = Array.from({ length: BATCH_RECORDS }, newKey)
      return async () => {
        for (const each of batch) setKey(each, nextKey())
        if ((await calls.getMany!(batch)).includes(undefined)) throw new Error("a key was not found")
        return BATCH_RECORDS
      }
    }
    default:
      throw new Error(`no workload ${workload}`)
  }
}

async function inLoops(
  newCall: () => OneCall,
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
    const call = newCall()
    do {
      const startedMs = latencies.takesNext() ? performance.now() : undefined
      // Not in one line: the sum would be read before the call and what others add meanwhile would be lost.
      const records = await call()
      operations += records
      if (startedMs !== undefined) latencies.add(performance.now() - startedMs)
    } while (!isOver)
  }
  await Promise.all(Array.from({ length: callers }, loop))
  clearTimeout(timer)
  return operations
}

/**
 * Latency counts from when a call was due, not from when it was made: a pause of anybody shows in all calls that were
 * due in it. A call that is refused because too many wait counts as one that took the whole round.
 */
async function paced(
  newCall: () => OneCall,
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
    while (made < Math.min(count, due)) {
      const caller = idle.pop() ?? new PacedCaller(newCall(), host)
      caller.run(startedMs + (made++ * 1000) / rate, latencies.takesNext())
    }
    await sleep(TICK_MS)
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
  readonly #call: OneCall
  readonly #done: (records: number) => void
  readonly #failed: (error: unknown) => void

  constructor(call: OneCall, host: PacedHost) {
    this.#call = call
    this.#done = (records) => host.done(this, records)
    this.#failed = (error) => host.failed(this, error)
  }

  run(dueMs: number, isTimed: boolean): void {
    this.dueMs = dueMs
    this.isTimed = isTimed
    this.#call().then(this.#done, this.#failed)
  }
}

const TICK_MS = 1
