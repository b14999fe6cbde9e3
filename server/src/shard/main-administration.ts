// The administrative calls as a shard makes them: main does them.

import { VarveError } from "@varve/proto"
import {
  type AdministrativeCall,
  type AdministrativeCalls,
  administrativeCalls,
} from "./administrative-calls.ts"
import { decodeError } from "./error-message.ts"
import type { MainMessage, ShardMessage } from "./shard-port.ts"

/** Calls that may wait for main at once. */
const ASKED_MAX = 1000

export class MainAdministration {
  readonly calls: AdministrativeCalls
  readonly #post: (message: ShardMessage) => void
  readonly #waiting = new Map<
    number,
    { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }
  >()
  #lastId = 0

  constructor(post: (message: ShardMessage) => void) {
    this.#post = post
    const calls = administrativeCalls.map((name) => [name, (request: unknown) => this.#ask(name, request)])
    this.calls = Object.fromEntries(calls) as AdministrativeCalls
  }

  receive(message: Extract<MainMessage, { kind: "told" | "refused" }>): void {
    const waiting = this.#waiting.get(message.id)
    if (waiting === undefined) return
    this.#waiting.delete(message.id)
    if (message.kind === "told") waiting.resolve(message.value)
    else waiting.reject(decodeError(message.error))
  }

  #ask(name: AdministrativeCall, request: unknown): Promise<unknown> {
    if (this.#waiting.size >= ASKED_MAX) {
      const message = `${ASKED_MAX} administrative calls are under way already`
      return Promise.reject(new VarveError("OVERLOADED", message))
    }
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#post({ kind: "ask", id, name, request })
    })
  }
}
