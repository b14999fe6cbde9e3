// Reads of single blocks of one run: those who want the same block share one read, and a lane bounds how many go on at
// once. A block is read into a buffer that the lane uses again and again: who waits for it looks at it, and copies what
// is kept, in the moment in which it arrives.
//
//   wait(block, waiter) -> lane -> disk -> checksum -> cache, then waiter.arrived(bytes) -> buffer back to the lane
//
// A buffer for each read would be 4 KiB outside of the heap that the collector has to hear of: with many reads a
// second it would mark the whole heap all the time, and hold the thread for milliseconds each time.

import type { BlockCache } from "./block-cache.ts"
import type { ReadLane } from "./read-lane.ts"
import type { RunFile } from "./run-file.ts"

/** Called once, by one of its methods. Neither throws. */
export interface BlockWaiter {
  /** The checked bytes of the block; they are another block's when this returns. */
  arrived(bytes: Buffer): void
  failed(error: unknown): void
}

export interface BlockReadsParts {
  readonly file: RunFile
  readonly cache: BlockCache
  /** Of the run in the cache. */
  readonly owner: number
  readonly lane: ReadLane
  /** Called before a read starts and after it has ended: the file stays open in between. */
  readonly retain: () => void
  readonly release: () => void
}

export class BlockReads {
  readonly #parts: BlockReadsParts
  /** By block: who waits for it. */
  readonly #waiting = new Map<number, BlockWaiter[]>()

  constructor(parts: BlockReadsParts) {
    this.#parts = parts
  }

  /** Reads the block, which exists, for `waiter`, and leaves it in the cache. */
  wait(block: number, waiter: BlockWaiter): void {
    const waiters = this.#waiting.get(block)
    if (waiters !== undefined) {
      waiters.push(waiter)
      return
    }
    this.#waiting.set(block, [waiter])
    this.#parts.retain()
    const turn = this.#parts.lane.enter()
    if (turn === undefined) this.#start(block)
    else void turn.then(() => this.#start(block))
  }

  #start(block: number): void {
    const buffer = this.#parts.lane.takeBuffer()
    this.#parts.file.readBlocks(block, 1, buffer).then(
      (bytes) => this.#arrived(block, buffer, bytes),
      (error: unknown) => {
        for (const waiter of this.#end(block)) waiter.failed(error)
        this.#leave(buffer)
      },
    )
  }

  #arrived(block: number, buffer: Buffer, bytes: number): void {
    const { cache, owner } = this.#parts
    cache.insert(owner, block, buffer, 0, bytes)
    const whole = bytes === buffer.length ? buffer : buffer.subarray(0, bytes)
    for (const waiter of this.#end(block)) waiter.arrived(whole)
    this.#leave(buffer)
  }

  /** Who comes from now on starts a read of its own. */
  #end(block: number): readonly BlockWaiter[] {
    const waiters = this.#waiting.get(block)!
    this.#waiting.delete(block)
    return waiters
  }

  #leave(buffer: Buffer): void {
    const { lane, release } = this.#parts
    lane.giveBuffer(buffer)
    lane.leave()
    release()
  }
}

/** A waiter that looks at the block when it arrives, and answers by a promise. */
export class BlockLook<Result> implements BlockWaiter {
  readonly #look: (bytes: Buffer) => Result | Promise<Result>
  readonly #resolve: (result: Result | Promise<Result>) => void
  readonly #reject: (error: unknown) => void

  constructor(
    look: (bytes: Buffer) => Result | Promise<Result>,
    resolve: (result: Result | Promise<Result>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#look = look
    this.#resolve = resolve
    this.#reject = reject
  }

  arrived(bytes: Buffer): void {
    try {
      this.#resolve(this.#look(bytes))
    } catch (error) {
      this.#reject(error)
    }
  }

  failed(error: unknown): void {
    this.#reject(error)
  }
}
