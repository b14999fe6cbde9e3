// Another shard, to which calls are handed that came here and belong there. It may die and come back: the port is
// then another one, and what was under way on the old one has failed.

import type { MessagePort } from "node:worker_threads"
import { EngineError } from "@varve/engines"
import { VarveError } from "@varve/proto"
import { decodeError } from "./error-message.ts"
import {
  asBuffer,
  type PeerAnswer,
  type PeerCallName,
  type PeerCalls,
  type PeerRequest,
  peerCodecs,
} from "./peer-port.ts"

interface Waiting {
  readonly name: PeerCallName
  readonly resolve: (response: unknown) => void
  readonly reject: (error: Error) => void
}

export class Peer {
  readonly index: number
  #port: MessagePort | undefined
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  constructor(index: number) {
    this.index = index
  }

  /** Calls that were handed over so far. */
  get callCount(): number {
    return this.#lastId
  }

  /** Calls go over `port` from now on. */
  connect(port: MessagePort): void {
    this.disconnect()
    this.#port = port
    port.on("message", (message: PeerAnswer) => {
      if (this.#port === port) this.#receive(message)
    })
    port.once("close", () => {
      if (this.#port === port) this.disconnect()
    })
  }

  /** What waits fails: nobody knows what became of it. */
  disconnect(): void {
    this.#port?.close()
    this.#port = undefined
    const lost = this.#lost()
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(lost)
  }

  /**
   * Makes the call where it belongs. The caller counts it as in flight, with `PEER_CALL_BYTES`: that bounds how many
   * wait.
   * @param deadlineMs milliseconds since 1970
   * @throws EngineError `ENGINE_CLOSED`: the call was not made. Rejects as the call does there,
   * and with VarveError `CONNECTION_LOST`
   */
  call<Name extends PeerCallName>(
    name: Name,
    request: PeerCalls[Name][0],
    deadlineMs: number = Number.POSITIVE_INFINITY,
  ): Promise<PeerCalls[Name][1]> {
    const id = this.#newId()
    return this.#ask(id, name, request, deadlineMs)
  }

  /** Pages of a scan. @throws (rejects) as `call` */
  async *scan(request: PeerCalls["scan"][0]): AsyncGenerator<PeerCalls["scan"][1]["records"], void, void> {
    const id = this.#newId()
    const port = this.#port
    let isDone = false
    try {
      let page = await this.#ask(id, "scan", request, Number.POSITIVE_INFINITY)
      while (page.records.length > 0) {
        yield page.records
        // The shard that is there now knows nothing of this scan.
        if (this.#port !== port) throw this.#lost()
        page = await new Promise((resolve, reject) => {
          this.#waiting.set(id, { name: "scan", resolve: resolve as (page: unknown) => void, reject })
          this.#post({ kind: "next", id })
        })
      }
      isDone = true
    } catch (error) {
      isDone = true
      throw error
    } finally {
      if (!isDone && this.#port === port) this.#post({ kind: "cancel", id })
    }
  }

  #lost(): VarveError {
    return new VarveError(
      "CONNECTION_LOST",
      `shard ${this.index} ended before its answer: a write may or may not have been applied`,
    )
  }

  #newId(): number {
    if (this.#port === undefined) {
      throw new EngineError("ENGINE_CLOSED", `shard ${this.index} is being started again: nothing was done`)
    }
    return ++this.#lastId
  }

  #ask<Name extends PeerCallName>(
    id: number,
    name: Name,
    message: PeerCalls[Name][0],
    deadlineMs: number,
  ): Promise<PeerCalls[Name][1]> {
    return new Promise((resolve, reject) => {
      const request = peerCodecs[name][0].encode(message).finish() as Uint8Array<ArrayBuffer>
      this.#waiting.set(id, { name, resolve: resolve as (response: unknown) => void, reject })
      this.#post({ kind: "call", id, name, request, deadlineMs }, [request.buffer])
    })
  }

  #post(message: PeerRequest, transfer: readonly ArrayBuffer[] = []): void {
    if (this.#port === undefined) this.disconnect()
    else this.#port.postMessage(message, transfer)
  }

  #receive(message: PeerAnswer): void {
    const waiting = this.#waiting.get(message.id)
    if (waiting === undefined) return // Of a scan that was cancelled.
    this.#waiting.delete(message.id)
    if (message.kind === "failure") waiting.reject(decodeError(message.error))
    else waiting.resolve(peerCodecs[waiting.name][1].decode(asBuffer(message.response)))
  }
}
