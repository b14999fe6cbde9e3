// Threads for shards. Loading modules is most of what the start of a shard takes, and needs no settings: so a thread
// loads them first and then waits for its start, which comes as a message. Threads may be started ahead of that; the
// first one is, before main has even loaded its own modules.

import { setFlagsFromString } from "node:v8"
import { Worker } from "node:worker_threads"
import { moduleUrl } from "../load-module.ts"

/**
 * How much a shard's thread may have in old objects and in memory outside of the heap before the collector looks through all
 * of it, in MiB. What comes off sockets is outside of the heap and counts until it is collected; with V8's own limit, twenty
 * MiB above the few that a shard needs, some 20 collections of everything ran in each second of full load: a quarter
 * of the thread's time (`npm run bench -- wire --profile DIR`, `garbage collector`), in pauses of up to 15 ms.
 */
const OLD_SPACE_MIB = 128

/** By index. */
const ahead = new Map<number, Worker>()

/** Starts the threads of the first `count` shards, unless they are. Until they are taken they keep no process alive. */
export function startShardsAhead(count: number): void {
  for (let index = 0; index < count; index++) if (!ahead.has(index)) startAhead(index)
}

/** Ends the threads that nobody has taken. */
export async function endShardsAhead(): Promise<void> {
  await Promise.all([...ahead.values()].map((worker) => worker.terminate()))
}

/** The thread of a shard: it takes a ShardStart. */
export function shardWorker(index: number): Worker {
  const worker = ahead.get(index)
  if (worker === undefined) return startWorker(index)
  ahead.delete(index)
  worker.ref()
  return worker
}

function startAhead(index: number): void {
  const worker = startWorker(index)
  worker.unref()
  const forget = (): void => {
    if (ahead.get(index) === worker) ahead.delete(index)
  }
  // What it died of, the next thread says again, to somebody who listens.
  worker.on("error", forget)
  worker.on("exit", forget)
  ahead.set(index, worker)
}

function startWorker(index: number): Worker {
  // Threads have no flags of their own: it is the process's, read when a thread begins. The main thread has begun.
  setFlagsFromString(`--initial-old-space-size=${OLD_SPACE_MIB}`)
  return new Worker(moduleUrl("../shard/shard-thread.ts", import.meta.url), { name: `shard-${index}` })
}
