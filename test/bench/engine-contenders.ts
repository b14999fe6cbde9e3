// The child of the `engines` suite: one embedded store, filled with all keys in ascending order, then rounds of
// each workload from one thread.

import { readFile } from "node:fs/promises"
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises"
import { type Engine, type EngineName, engineNames } from "@varve/engines"
import { bytesOnDisk } from "./bytes-on-disk.ts"
import { type ChildWork, serveParent } from "./child-contender.ts"
import { openClassicLevel } from "./classic-level-store.ts"
import { type Distribution, keyOrder } from "./distributions.ts"
import { type Action, type Memory, workloads } from "./engine-cases.ts"
import type { AmplificationFigures, LoadFigures } from "./engine-figures.ts"
import { openLmdb } from "./lmdb-store.ts"
import { measurePauses } from "./pauses.ts"
import { SLICE, type Store } from "./store.ts"
import { openVarve, varveStore } from "./varve-store.ts"
import { RECORD_BYTES, roundValue } from "./workload.ts"

/** Key numbers that are made ahead; a round that does more goes through them again. A power of two. */
const ORDER_LENGTH = 2 ** 22
/** Overwrites by which amplification is measured: one for each key, at most these. */
const AMPLIFICATION_WRITES_MAX = 2 ** 21

/** A process that used less of a core than this for a while has nothing left to do behind its store. */
const IDLE_CORES = 0.1
const IDLE_CHECK_MS = 100
/** After that the next contender goes on, and what is left counts against it. */
const SETTLE_SECONDS_MAX = 10

/** What the parent hands over. */
export interface EngineWords {
  readonly name: string
  readonly directory: string
  readonly keys: number
  readonly seconds: number
  readonly memory: Memory
}

function engineWork({ name, directory, keys, seconds, memory }: EngineWords): ChildWork {
  let store: Store | undefined
  let engine: Engine | undefined
  let isWarm = false
  // The order of one distribution and round: all workloads of a round share it.
  const orders = new Map<Distribution, { round: number; order: Uint32Array }>()

  function orderOf(distribution: Distribution, round: number): Uint32Array {
    const kept = orders.get(distribution)
    if (kept?.round === round) return kept.order
    const order = keyOrder(distribution, keys, Math.min(ORDER_LENGTH, slices(keys * 4)), round)
    orders.set(distribution, { round, order })
    return order
  }

  async function openStore(): Promise<Store> {
    if (name === "lmdb") return openLmdb(directory)
    if (name === "classic-level") return await openClassicLevel(directory, memory)
    engine = await openVarve(name as EngineName, directory, memory)
    return varveStore(engine)
  }

  async function load(): Promise<LoadFigures> {
    globalThis.gc?.()
    const before = process.memoryUsage.rss()
    store = await openStore()
    const order = new Uint32Array(SLICE)
    const value = roundValue(0)
    for (let start = 0; start < keys; start += SLICE) {
      const count = Math.min(SLICE, keys - start)
      for (let i = 0; i < count; i++) order[i] = start + i
      await store.set(order, 0, count, value)
      await nextTurn()
    }
    globalThis.gc?.()
    const indexBytes = store.indexBytes()
    return {
      residentBytesPerKey: (process.memoryUsage.rss() - before) / keys,
      ...(indexBytes !== undefined && { indexBytesPerKey: indexBytes / keys }),
    }
  }

  /**
   * Reads every key once, in ascending order, when something was written since that was done last and the cache has
   * room for all: as db_bench does with `readseq`, so that no round measures the filling of a cache.
   */
  async function warmUp(): Promise<void> {
    if (isWarm || memory.kind !== "all") return
    isWarm = true
    const order = new Uint32Array(SLICE)
    for (let start = 0; start < keys; start += SLICE) {
      for (let i = 0; i < SLICE; i++) order[i] = (start + i) % keys
      await store!.getMany(order, 0, SLICE)
      await nextTurn()
    }
  }

  /** Waits for flushes and merges of the last round: they would take the processor from the next contender's. */
  async function settle(): Promise<void> {
    for (let waitedMs = 0; waitedMs < SETTLE_SECONDS_MAX * 1000; waitedMs += IDLE_CHECK_MS) {
      const before = process.cpuUsage()
      await sleep(IDLE_CHECK_MS)
      const { user, system } = process.cpuUsage(before)
      if (user + system < IDLE_CORES * IDLE_CHECK_MS * 1000) return
    }
  }

  /** Operations per second. */
  async function rate(action: Action, distribution: Distribution, round: number): Promise<number> {
    const open = store!
    const order = orderOf(distribution, round)
    const value = roundValue(round)
    const isReading = action === "get" || action === "getMany"
    if (isReading) await warmUp()
    else isWarm = false
    globalThis.gc?.()
    let done = 0
    let read = 0
    let found = 0
    let elapsedMs = 0
    const first = startOf(action, order.length)
    const started = performance.now()
    while (elapsedMs < seconds * 1000) {
      const from = (first + done) % order.length
      const to = from + SLICE
      if (action === "set") await open.set(order, from, to, value)
      else if (action === "get") found += await open.get(order, from, to)
      else if (action === "getMany") found += await open.getMany(order, from, to)
      else found += await open.mixed(order, from, to, value)
      if (action !== "set") read += action === "mixed" ? SLICE / 2 : SLICE
      done += SLICE
      await nextTurn()
      elapsedMs = performance.now() - started
    }
    await settle()
    if (found !== read) throw new Error(`${read - found} of ${read} reads found no value`)
    return done / (elapsedMs / 1000)
  }

  async function bytesWritten(): Promise<number | undefined> {
    // lmdb writes the same pages again and again, and the system counts a page once until it is written back.
    return name === "lmdb" ? undefined : (store!.fileBytesWritten() ?? (await processBytesWritten()))
  }

  async function amplification(): Promise<AmplificationFigures> {
    const overwrites = slices(Math.min(keys, AMPLIFICATION_WRITES_MAX))
    const order = keyOrder("uniform", keys, overwrites, 0)
    const value = roundValue(7)
    const before = await bytesWritten()
    for (let at = 0; at < overwrites; at += SLICE) {
      await store!.set(order, at, at + SLICE, value)
      await nextTurn()
    }
    const after = await bytesWritten()
    const diskBytes = bytesOnDisk(directory)
    return {
      overwrites,
      ...(before !== undefined &&
        after !== undefined && { writeAmplification: (after - before) / (overwrites * RECORD_BYTES) }),
      spaceAmplification: diskBytes / (keys * RECORD_BYTES),
    }
  }

  return {
    prepare: load,
    async measure(measurement, round) {
      if (measurement === "amplification") return await amplification()
      if (measurement === "pauses") return await measurePauses(engine!, keys, seconds)
      const workload = workloads.find((each) => each.name === measurement)!
      return await rate(workload.action, workload.distribution, round)
    },
    async close() {
      await store?.close()
    },
  }
}

/** Where in the order an action starts: who reads in the order in which a log was just written meets a sequence. */
function startOf(action: Action, length: number): number {
  const quarter = Math.floor(length / SLICE / 4) * SLICE
  return ["set", "get", "mixed", "getMany"].indexOf(action) * quarter
}

/** `count`, up to a whole number of slices. */
function slices(count: number): number {
  return Math.ceil(count / SLICE) * SLICE
}

/** What this process caused to be written to storage; undefined where the system does not tell. */
async function processBytesWritten(): Promise<number | undefined> {
  const text = await readFile("/proc/self/io", "utf8").catch(() => "")
  const bytes = /^write_bytes: (\d+)$/m.exec(text)?.[1]
  return bytes === undefined ? undefined : Number(bytes)
}

const words = JSON.parse(process.argv[2]!) as EngineWords
if (!["lmdb", "classic-level", ...engineNames].includes(words.name)) throw new Error(`no store ${words.name}`)
serveParent(engineWork(words))
