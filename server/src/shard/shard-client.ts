// Main's side of a shard: starts the thread, calls it with a timeout, and notices when it dies.

import { Worker } from "node:worker_threads"
import { VarveError } from "@varve/proto"
import type { ListenAddress } from "../config/address.ts"
import { SettingsError } from "../config/settings.ts"
import type { Log } from "../log.ts"
import type { ShardCallMessage, ShardCallName, ShardCalls, ShardMessage, ShardStart } from "./shard-port.ts"

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** A shard that could not start for a reason that the operator can mend. */
export class ShardRefusedError extends Error {
  override readonly name = "ShardRefusedError"
}

/** Calls of main that may wait at once; more means that the shard hangs. */
const PENDING_MAX = 1000

export class ShardClient {
  readonly address: ListenAddress
  /** Resolves when the thread has ended: undefined after `close`, otherwise what it died of. */
  readonly ended: Promise<Error | undefined>
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  #nextId = 1
  #closing = false

  constructor(worker: Worker, address: ListenAddress, log: Log) {
    this.#worker = worker
    this.address = address
    worker.on("message", (message: ShardMessage) => this.#receive(message, log))
    this.ended = new Promise((resolve) => {
      let death: Error | undefined
      worker.on("error", (error) => {
        death = error
      })
      worker.once("exit", (code) => {
        for (const { reject, timer } of this.#pending.values()) {
          clearTimeout(timer)
          reject(new VarveError("SHUTTING_DOWN", "the shard has ended"))
        }
        this.#pending.clear()
        if (death === undefined && !this.#closing) death = new Error(`the shard ended with code ${code}`)
        resolve(death)
      })
    })
  }

  /**
   * Starts a shard; resolves when it takes calls.
   * @throws (rejects) SettingsError, ShardRefusedError, or what the thread died of
   */
  static async start(start: ShardStart, log: Log): Promise<ShardClient> {
    const worker = new Worker(new URL(shardModule(), import.meta.url), { workerData: start, name: "shard-0" })
    const address = await new Promise<ListenAddress>((resolve, reject) => {
      const settle = (then: () => void): void => {
        worker.off("message", receive)
        worker.off("error", fail)
        worker.off("exit", exit)
        then()
      }
      const receive = (message: ShardMessage): void => {
        if (message.kind === "log") relay(message, log)
        else if (message.kind === "ready") settle(() => resolve(message.grpc))
        else if (message.kind === "refused") {
          settle(() =>
            reject(
              message.isSetting ? new SettingsError(message.message) : new ShardRefusedError(message.message),
            ),
          )
        }
      }
      const fail = (error: Error): void => settle(() => reject(error))
      const exit = (code: number): void =>
        settle(() => reject(new Error(`the shard ended with code ${code}`)))
      worker.on("message", receive)
      worker.on("error", fail)
      worker.on("exit", exit)
    })
    return new ShardClient(worker, address, log)
  }

  /** @throws (rejects) VarveError as the shard answered it, or `DEADLINE_PASSED` after `timeoutMs` */
  call<Name extends ShardCallName>(
    name: Name,
    argument: ShardCalls[Name][0],
    timeoutMs: number,
  ): Promise<ShardCalls[Name][1]> {
    if (this.#pending.size >= PENDING_MAX) {
      return Promise.reject(new VarveError("OVERLOADED", `${PENDING_MAX} calls to the shard wait already`))
    }
    if (name === "close") this.#closing = true
    const id = this.#nextId++
    return new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id)
        reject(new VarveError("DEADLINE_PASSED", `the shard did not answer ${name} within ${timeoutMs} ms`))
      }, timeoutMs)
      this.#pending.set(id, { resolve, reject, timer })
      this.#worker.postMessage({ id, name, argument } satisfies ShardCallMessage)
    }) as Promise<ShardCalls[Name][1]>
  }

  /** Ends the thread at once; what is not on disk is gone, as after a crash. */
  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  #receive(message: ShardMessage, log: Log): void {
    if (message.kind === "log") relay(message, log)
    if (message.kind !== "answer" && message.kind !== "failure") return
    const pending = this.#pending.get(message.id)
    if (pending === undefined) return // It came after its timeout.
    this.#pending.delete(message.id)
    clearTimeout(pending.timer)
    if (message.kind === "answer") pending.resolve(message.value)
    else {
      const { reason, message: text, code, metadata } = message.failure
      pending.reject(new VarveError(reason, text, { code, metadata }))
    }
  }
}

function relay({ line }: Extract<ShardMessage, { kind: "log" }>, log: Log): void {
  log[line.level](line.event, line.message, line.fields)
}

/** The thread's module beside this one: compiled, or the source when this is run from source. */
function shardModule(): string {
  return import.meta.url.endsWith(".ts") ? "./shard-thread.ts" : "./shard-thread.js"
}
