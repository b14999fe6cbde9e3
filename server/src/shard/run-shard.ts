// A shard at its end of the port to main: opens it, answers main's calls, asks main what is main's business, hands log
// lines over. An error that nobody caught ends the thread: state that may be wrong is not served. Main starts another then.

import type { MessagePort } from "node:worker_threads"
import { type Log, logTo } from "../log.ts"
import { familiesOf } from "../metrics/families.ts"
import { encodeError } from "./error-message.ts"
import { MainAdministration } from "./main-administration.ts"
import { Shard } from "./shard.ts"
import {
  BEAT_MS,
  type MainMessage,
  type PartitionName,
  type ShardCalls,
  type ShardMessage,
  type ShardStart,
} from "./shard-port.ts"

/** Resolves when the shard takes calls of main, or has told it why it cannot. */
export async function runShard(port: MessagePort, start: ShardStart): Promise<void> {
  const post = (message: ShardMessage): void => port.postMessage(message)
  const log = logTo((line) => post({ kind: "log", line }))
  const main = new MainAdministration(post)
  // Keeps no thread alive that is done.
  setInterval(() => Atomics.add(start.beat, 0, 1), BEAT_MS).unref()
  let shard: Shard
  try {
    shard = await Shard.open(
      start,
      { administration: main.calls, onFenced: () => post({ kind: "fenced" }) },
      log,
    )
  } catch (error) {
    post({ kind: "failed", error: encodeError(error) })
    port.close()
    return
  }
  port.on("message", (message: MainMessage) => {
    switch (message.kind) {
      case "call": {
        const { id, name } = message
        const end = (answer: ShardMessage): void => {
          post(answer)
          if (name === "close") port.close()
        }
        doCall(shard, message, log).then(
          (value) => end({ kind: "answer", id, value }),
          (error: unknown) => end({ kind: "failure", id, error: encodeError(error) }),
        )
        return
      }
      case "engines":
        return shard.callEngines(message.calls, ({ id }, result, standing) =>
          post(
            result.status === "fulfilled"
              ? { kind: "answer", id, value: result.value, standing }
              : { kind: "failure", id, error: encodeError(result.reason), standing },
          ),
        )
      case "peer":
        return shard.connectPeer(message.index, message.calls, message.served)
      default:
        return main.receive(message)
    }
  })
  post({ kind: "open" })
}

async function doCall(
  shard: Shard,
  { name, argument }: Extract<MainMessage, { kind: "call" }>,
  log: Log,
): Promise<unknown> {
  switch (name) {
    case "openPartition":
      return await shard.openPartition(argument as PartitionName)
    case "serve":
      return await shard.serve(argument as ShardCalls["serve"][0])
    case "setServing":
      return shard.setServing(argument as boolean)
    case "distrust":
      return shard.distrust(argument as ShardCalls["distrust"][0])
    case "standings":
      return shard.standings()
    case "metrics":
      return await familiesOf(shard.registry)
    case "drain":
      return await shard.drain((argument as ShardCalls["drain"][0]).graceMs)
    case "close":
      log.debug("shard-closing", "the shard closes its stores")
      return await shard.close()
  }
}
