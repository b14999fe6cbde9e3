// Threads for shards. Loading modules is most of what the start of a shard takes, and needs no settings: so a thread
// loads them first and then waits for its start, which comes as a message. Threads may be started ahead of that; the
// first one is, before main has even loaded its own modules.
//
// No thread is ended while it loads (`shard/loading-state.ts` says why), neither by `end` nor by the end of the process.

import { setFlagsFromString } from "node:v8"
import { Worker } from "node:worker_threads"
import { moduleUrl } from "../load-module.ts"
import {
  hasFailedToLoad,
  loadingEnds,
  newLoadingState,
  noteDeath,
  waitForLoadingEnd,
} from "../shard/loading-state.ts"

/**
 * How much a shard's thread may have in old objects and in memory outside of the heap before the collector looks through all
 * of it, in MiB. What comes off sockets is outside of the heap and counts until it is collected; with V8's own limit, a little
 * above the few MiB that a shard needs, the collector looks through everything many times a second of full load, in pauses
 * of milliseconds: `Mark-Compact` in what `node --trace-gc` prints, `garbage collector` of `npm run bench -- wire --profile DIR`.
 */
const OLD_SPACE_MIB = 128
/** A thread that loads for longer hangs, or its machine does: then it is ended all the same. It takes some 0.2 s. */
const LOADING_MAX_MS = 5000

/** By index. */
const ahead = new Map<number, ShardWorker>()
/** All threads that have not ended. */
const living = new Set<ShardWorker>()
let waitsAtExit = false

/** A shard's thread as its starter has it. */
export class ShardWorker {
  readonly worker: Worker
  readonly #loading = newLoadingState()

  constructor(index: number) {
    // Threads have no flags of their own: it is the process's, read when a thread begins. The main thread has begun; who
    // runs a daemon in a process of its own gives it to the threads that are started there later, too.
    setFlagsFromString(`--initial-old-space-size=${OLD_SPACE_MIB}`)
    const url = moduleUrl("../shard/shard-thread.ts", import.meta.url)
    this.worker = new Worker(url, { name: `shard-${index}`, workerData: this.#loading })
    living.add(this)
    this.worker.once("exit", () => {
      living.delete(this)
      noteDeath(this.#loading)
    })
    if (waitsAtExit) return
    waitsAtExit = true
    process.once("exit", waitForThreadsThatLoad)
  }

  /** Whether it died while it was loading its modules. To be asked when it has ended. */
  get hasFailedToLoad(): boolean {
    return hasFailedToLoad(this.#loading)
  }

  /** Ends the thread as soon as it does not load any more. Resolves when nothing of it runs. */
  async end(): Promise<void> {
    this.worker.ref()
    await loadingEnds(this.#loading, LOADING_MAX_MS)
    await this.worker.terminate()
  }

  /** Holds this thread until the other one has loaded its modules. */
  waitWhileLoading(timeoutMs: number): void {
    waitForLoadingEnd(this.#loading, timeoutMs)
  }
}

/** Starts the threads of the first `count` shards, unless they are. Until they are taken they keep no process alive. */
export function startShardsAhead(count: number): void {
  for (let index = 0; index < count; index++) if (!ahead.has(index)) startAhead(index)
}

/** Ends the threads that nobody has taken. */
export async function endShardsAhead(): Promise<void> {
  await Promise.all([...ahead.values()].map((thread) => thread.end()))
}

/** The thread of a shard: it takes a ShardStart. */
export function shardWorker(index: number): ShardWorker {
  const thread = ahead.get(index)
  if (thread === undefined) return new ShardWorker(index)
  ahead.delete(index)
  thread.worker.ref()
  return thread
}

function startAhead(index: number): void {
  const thread = new ShardWorker(index)
  thread.worker.unref()
  const forget = (): void => {
    if (ahead.get(index) === thread) ahead.delete(index)
  }
  // What it died of, the next thread says again, to somebody who listens.
  thread.worker.on("error", forget)
  thread.worker.on("exit", forget)
  ahead.set(index, thread)
}

/** The process ends its threads next, on whichever way it came here. */
function waitForThreadsThatLoad(): void {
  const endMs = performance.now() + LOADING_MAX_MS
  for (const thread of living) thread.waitWhileLoading(Math.max(0, endMs - performance.now()))
}
