// The thread of a shard: opens it, answers main's calls, hands log lines over. An error that nobody caught ends
// the thread, and main with it: state that may be wrong is not served.

import { type MessagePort, parentPort, workerData } from "node:worker_threads"
import { EngineError } from "@varve/engines"
import { SettingsError } from "../config/settings.ts"
import { failureOf } from "../grpc/failure.ts"
import { type Log, logTo } from "../log.ts"
import { Shard } from "./shard.ts"
import type { ShardCallMessage, ShardMessage, ShardStart } from "./shard-port.ts"

async function runShard(port: MessagePort, start: ShardStart): Promise<void> {
  const post = (message: ShardMessage): void => port.postMessage(message)
  const log = logTo((line) => post({ kind: "log", line }))
  let shard: Shard
  try {
    shard = await Shard.open(start, log)
  } catch (error) {
    if (!isOperatorsConcern(error)) throw error
    post({ kind: "refused", message: (error as Error).message, isSetting: isSettingError(error) })
    port.close()
    return
  }
  port.on("message", (message: ShardCallMessage) => {
    answer(shard, message, log).then(
      (value) => {
        post({ kind: "answer", id: message.id, value })
        if (message.name === "close") port.close()
      },
      (error: unknown) => {
        post({ kind: "failure", id: message.id, failure: failureOf(error, log) })
        if (message.name === "close") port.close()
      },
    )
  })
  post({ kind: "ready", grpc: shard.address })
}

async function answer(shard: Shard, { name, argument }: ShardCallMessage, log: Log): Promise<unknown> {
  const { administration } = shard
  switch (name) {
    case "metrics":
      return await shard.registry.getMetricsAsJSON()
    case "close":
      log.debug("shard-closing", "the shard drains and closes its stores")
      return await shard.close((argument as { graceMs: number }).graceMs)
    default:
      return await (administration[name] as (argument: unknown) => unknown).call(administration, argument)
  }
}

/** What the world or the settings caused; anything else is a fault in the software. */
function isOperatorsConcern(error: unknown): boolean {
  return (
    isSettingError(error) || error instanceof EngineError || (error instanceof Error && "syscall" in error)
  )
}

function isSettingError(error: unknown): boolean {
  if (error instanceof SettingsError) return true
  return error instanceof EngineError && ["SETTING_INVALID", "REPOSITORY_URL_INVALID"].includes(error.reason)
}

if (parentPort === null) throw new Error("shard-thread runs in a worker thread only")
await runShard(parentPort, workerData as ShardStart)
