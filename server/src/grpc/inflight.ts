// How many bytes of requests are being worked on and of answers not yet taken, over all calls of a shard. Above
// the limit calls are refused instead of queued.

import { VarveError } from "@varve/proto"

export class Inflight {
  readonly bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  get isFull(): boolean {
    return this.#bytes >= this.bytesMax
  }

  /** @throws VarveError `OVERLOADED` when the limit is reached */
  check(): void {
    if (!this.isFull) return
    throw new VarveError(
      "OVERLOADED",
      `${this.#bytes} bytes are in flight; the limit is ${this.bytesMax} (setting limits.inflightBytesMax)`,
    )
  }

  add(bytes: number): void {
    this.#bytes += bytes
  }

  remove(bytes: number): void {
    this.#bytes -= bytes
  }

  /** Counts `bytes` until `promise` settles; gives `promise` back. */
  async during<Result>(bytes: number, promise: Promise<Result>): Promise<Result> {
    this.#bytes += bytes
    try {
      return await promise
    } finally {
      this.#bytes -= bytes
    }
  }
}
