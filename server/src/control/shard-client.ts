// Main's side of one thread of a shard: starts it, calls it, answers what it asks, and notices when it dies. A dead one
// is not used again; `shards.ts` starts another.

import type { MessagePort } from "node:worker_threads"
import { EngineError } from "@varve/engines"
import { VarveError } from "@varve/proto"
import type { Log } from "../log.ts"
import type { AdministrativeCalls } from "../shard/administrative-calls.ts"
import { decodeError, encodeError } from "../shard/error-message.ts"
import type {
  EngineCall,
  EngineCallName,
  EngineStanding,
  MainMessage,
  PartitionName,
  ShardCallName,
  ShardCalls,
  ShardMessage,
  ShardStart,
} from "../shard/shard-port.ts"
import { type ShardWorker, shardWorker } from "./shard-worker.ts"

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly learn: ((standing: EngineStanding) => void) | undefined
  readonly timer: NodeJS.Timeout | undefined
}

/** Calls of main that may wait at once; more means that the shard hangs. */
const PENDING_MAX = 10_000
/** Administrative calls of a shard that are under way at once. */
const ASKED_MAX = 1000

/** What main does for the thread of a shard. */
export interface ShardHost {
  readonly administration: AdministrativeCalls
  readonly log: Log
  /** Another daemon has taken one of the shard's partitions. */
  onFenced(): void
}

export class ShardClient {
  readonly index: number
  /** Resolves when the thread has ended: undefined when it ended after `close`, otherwise what it died of. */
  readonly ended: Promise<Error | undefined>
  /** What the thread counts up while its event loop turns. */
  readonly beat: Int32Array
  readonly #thread: ShardWorker
  readonly #host: ShardHost
  readonly #pending = new Map<number, Pending>()
  #gathered: EngineCall[] = []
  #lastId = 0
  #askedCount = 0
  #closing = false
  #isOver = false
  #death: Error | undefined

  constructor(thread: ShardWorker, { index, beat }: ShardStart, host: ShardHost) {
    const { worker } = thread
    this.#thread = thread
    this.index = index
    this.beat = beat
    this.#host = host
    worker.on("message", (message: ShardMessage) => this.#receive(message))
    this.ended = new Promise((resolve) => {
      worker.on("error", (error: unknown) => {
        this.#death ??= error instanceof Error ? error : new Error(String(error))
      })
      worker.once("exit", (code) => {
        this.#isOver = true
        for (const { reject, timer } of this.#pending.values()) {
          clearTimeout(timer)
          reject(this.#gone())
        }
        this.#pending.clear()
        const isUnexplained = this.#death === undefined && !this.#closing
        const death = isUnexplained ? new Error(`the thread ended with code ${code}`) : this.#death
        resolve(death !== undefined && thread.hasFailedToLoad ? notLoaded(index, death) : death)
      })
    })
  }

  /**
   * Starts a thread; resolves when it takes calls of main.
   * @param signal nobody wants the thread any more: it is ended
   * @throws (rejects) what it could not start for: SettingsError, EngineError, the system's error; or what it died of
   */
  static async start(start: ShardStart, host: ShardHost, signal: AbortSignal): Promise<ShardClient> {
    const thread = shardWorker(start.index)
    const { worker } = thread
    const client = new ShardClient(thread, start, host)
    const opened = new Promise<void>((resolve, reject) => {
      worker.on("message", (message: ShardMessage) => {
        if (message.kind === "open") resolve()
        else if (message.kind === "failed") reject(decodeError(message.error))
      })
    })
    const died = client.ended.then((error) => {
      throw error ?? new Error("the thread ended")
    })
    const giveUp = (): void => void client.terminate()
    worker.postMessage(start)
    signal.addEventListener("abort", giveUp)
    if (signal.aborted) giveUp()
    try {
      await Promise.race([opened, died])
      return client
    } finally {
      signal.removeEventListener("abort", giveUp)
    }
  }

  /** Whether the thread has ended. */
  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * @param timeoutMs absent: as long as it takes
   * @throws (rejects) as the call does in the shard; VarveError `DEADLINE_PASSED`, `OVERLOADED`; EngineError
   * `ENGINE_CLOSED` when the thread dies
   */
  call<Name extends ShardCallName>(
    name: Name,
    argument: ShardCalls[Name][0],
    timeoutMs?: number,
  ): Promise<ShardCalls[Name][1]> {
    if (name === "close") this.#closing = true
    return this.#wait(undefined, name, timeoutMs, (id) =>
      this.#post({ kind: "call", id, name, argument }),
    ) as Promise<ShardCalls[Name][1]>
  }

  /**
   * Calls an engine. Calls that are made in one turn reach the shard in one turn.
   * @param learn is told where the engine stands after the call
   */
  callEngine(
    partition: PartitionName,
    name: EngineCallName,
    argumentList: readonly unknown[],
    learn: (standing: EngineStanding) => void,
  ): Promise<unknown> {
    return this.#wait(learn, name, undefined, (id) => {
      if (this.#gathered.length === 0) queueMicrotask(() => this.#sendGathered())
      this.#gathered.push({ ...partition, id, name, arguments: argumentList })
    })
  }

  /** Gives the shard its way to another one. The ports are gone from here then. */
  connectPeer(index: number, calls: MessagePort, served: MessagePort): void {
    this.#post({ kind: "peer", index, calls, served }, [calls, served])
  }

  /**
   * Ends the thread at once, or when it has loaded its modules; what is not on disk is gone, as after a crash. Resolves when
   * nothing of it runs any more: what the system was writing for it has been written.
   * @param why what it dies of, for `ended`
   */
  async terminate(why?: Error): Promise<void> {
    this.#death ??= why
    await this.#thread.end()
  }

  #sendGathered(): void {
    const calls = this.#gathered
    this.#gathered = []
    this.#post({ kind: "engines", calls })
  }

  #wait(
    learn: Pending["learn"],
    name: string,
    timeoutMs: number | undefined,
    send: (id: number) => void,
  ): Promise<unknown> {
    if (this.#isOver) return Promise.reject(this.#gone())
    if (this.#pending.size >= PENDING_MAX) {
      return Promise.reject(new VarveError("OVERLOADED", `${PENDING_MAX} calls to shard ${this.index} wait`))
    }
    const id = ++this.#lastId
    return new Promise<unknown>((resolve, reject) => {
      const giveUp = (): void => {
        this.#pending.delete(id)
        const message = `shard ${this.index} did not answer ${name} within ${timeoutMs} ms`
        reject(new VarveError("DEADLINE_PASSED", message))
      }
      const timer = timeoutMs === undefined ? undefined : setTimeout(giveUp, timeoutMs)
      this.#pending.set(id, { resolve, reject, learn, timer })
      send(id)
    })
  }

  #gone(): EngineError {
    return new EngineError("ENGINE_CLOSED", `shard ${this.index} has ended: call again when it is back`)
  }

  #post(message: MainMessage, transfer: readonly MessagePort[] = []): void {
    this.#thread.worker.postMessage(message, transfer)
  }

  #receive(message: ShardMessage): void {
    if (message.kind === "log") {
      const { level, event, message: text, fields } = message.line
      this.#host.log[level](event, text, fields)
    } else if (message.kind === "fenced") this.#host.onFenced()
    else if (message.kind === "ask") this.#answer(message)
    else if (message.kind === "answer" || message.kind === "failure") {
      const pending = this.#pending.get(message.id)
      if (pending === undefined) return // It came after its timeout.
      this.#pending.delete(message.id)
      clearTimeout(pending.timer)
      if (message.standing !== undefined) pending.learn?.(message.standing)
      if (message.kind === "answer") pending.resolve(message.value)
      else pending.reject(decodeError(message.error))
    }
  }

  /** An administrative call that came to the shard. */
  #answer({ id, name, request }: Extract<ShardMessage, { kind: "ask" }>): void {
    const refuse = (error: unknown): void => this.#post({ kind: "refused", id, error: encodeError(error) })
    if (this.#askedCount >= ASKED_MAX) {
      refuse(new VarveError("OVERLOADED", `${ASKED_MAX} administrative calls are under way already`))
      return
    }
    this.#askedCount++
    const done = (): void => {
      this.#askedCount--
    }
    const call = this.#host.administration[name] as (request: unknown) => Promise<unknown>
    call(request)
      .finally(done)
      .then((value) => this.#post({ kind: "told", id, value }), refuse)
  }
}

/** What a thread died of before it could run anything of a shard; with the place where. */
function notLoaded(index: number, cause: Error): Error {
  const message = `the thread of shard ${index} could not load its modules: ${cause.message}`
  const error = new Error(message, { cause })
  if (cause.stack !== undefined) error.stack = cause.stack
  return error
}
