// Whether the shard takes calls and frames. Once closed it stays closed: the daemon is going down.

import { VarveError } from "@varve/proto"

export class Admission {
  #open = true
  readonly #listeners = new Set<() => void>()

  get open(): boolean {
    return this.#open
  }

  /** @throws VarveError `SHUTTING_DOWN` */
  check(): void {
    if (!this.#open) throw new VarveError("SHUTTING_DOWN", "the daemon is going down")
  }

  /** Takes nothing more, and tells those that listen. */
  close(): void {
    this.#open = false
    for (const listener of [...this.#listeners]) listener()
  }

  /** Calls `listener` at `close`, until the returned function is called. */
  onClose(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
