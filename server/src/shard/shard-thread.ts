// The thread of a shard: loads the shard's modules, waits for its start, and runs it.

import { once } from "node:events"
import { parentPort, workerData } from "node:worker_threads"
import { loadModule } from "../load-module.ts"
import { type LoadingState, loadNoted } from "./loading-state.ts"
import type * as RunShard from "./run-shard.ts"
import type { ShardStart } from "./shard-port.ts"

if (parentPort === null) throw new Error("shard-thread runs in a worker thread only")
const starting = once(parentPort, "message") as Promise<[ShardStart]>
const { runShard } = await loadNoted(workerData as LoadingState, () =>
  loadModule<typeof RunShard>("./run-shard.ts", import.meta.url),
)
const [start] = await starting
await runShard(parentPort, start)
