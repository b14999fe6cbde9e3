// Writes the read-only region to disk, piece after piece in address order: each piece becomes one run that covers
// the same addresses. Two causes, one loop: the region is long enough, or a seal waits for everything below it.
//
// A seal's promise resolves with the run set of the very moment in which everything below the seal is on disk and
// nothing above it is.

import { EngineError, isEngineError } from "../../base/error.ts"
import type { CoreHost, Seal } from "../../core.ts"
import type { MemoryLog } from "../../hashed/memory-log.ts"
import { newRunOrigin } from "../../runs/new-run-origin.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { flushLog } from "./flush-log.ts"
import type { HybridLogSettings } from "./settings.ts"

/** Bytes copied for the writing thread in one turn of the event loop: about 0.2 ms. */
const COPY_BYTES = 1024 * 1024
/** How long to wait before writing is tried again on a full disk. */
const FULL_RETRY_MS = 1000

interface WaitingSeal {
  readonly at: number
  readonly resolve: (runs: readonly OpenRun[]) => void
  readonly reject: (error: unknown) => void
}

export class Flusher {
  readonly #host: CoreHost<HybridLogSettings>
  readonly #log: MemoryLog
  readonly #intervalBytes: number
  readonly #pressureBytes: number
  readonly #seals: WaitingSeal[] = []
  #relief: { promise: Promise<void>; resolve: () => void } | undefined
  #loop: Promise<void> = Promise.resolve()
  /** Ends in the same turn as the loop: a writer that is released may come back at once. */
  #isRunning = false
  #full: EngineError | undefined
  readonly #closing = new AbortController()
  flushCount = 0
  bytesFlushed = 0

  /** @param bounds the length of the read-only region, and how much may be unflushed before writers wait; bytes. */
  constructor(
    host: CoreHost<HybridLogSettings>,
    log: MemoryLog,
    bounds: { readonly intervalBytes: number; readonly pressureBytes: number },
  ) {
    this.#host = host
    this.#log = log
    this.#intervalBytes = bounds.intervalBytes
    this.#pressureBytes = bounds.pressureBytes
  }

  /** Set while the disk is full; writing is tried again until it is not. */
  get full(): EngineError | undefined {
    return this.#full
  }

  /** Starts to write when the read-only region is long enough. Cheap. */
  request(): void {
    if (!this.#isRunning && this.#spontaneousEnd() !== undefined) this.#start()
  }

  /** Undefined, or, when the disk is behind the writers, a promise that resolves when it has caught up. */
  pressure(): Promise<void> | undefined {
    if (!this.#isBehind()) return undefined
    if (!this.#isRunning || this.#full !== undefined) return undefined
    if (this.#relief === undefined) {
      let resolve = (): void => undefined
      const promise = new Promise<void>((done) => {
        resolve = done
      })
      this.#relief = { promise, resolve }
    }
    return this.#relief.promise
  }

  /** Resolves the retained runs that hold everything below the seal. Seals are flushed in the order of the calls. */
  flush(seal: Seal): Promise<readonly OpenRun[]> {
    return new Promise((resolve, reject) => {
      this.#seals.push({ at: seal.at, resolve, reject })
      if (!this.#isRunning) this.#start()
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#loop
    this.#giveUp(new EngineError("ENGINE_CLOSED", "the engine was closed before the flush was done"))
  }

  #isBehind(): boolean {
    return this.#log.tail - this.#log.flushed > this.#pressureBytes
  }

  #spontaneousEnd(): number | undefined {
    const end = this.#log.readOnly
    return end - this.#log.flushed >= this.#intervalBytes ? end : undefined
  }

  #start(): void {
    this.#isRunning = true
    this.#loop = this.#run()
  }

  async #run(): Promise<void> {
    // In a later turn: the caller of a write goes on first, and the copy starts from the event loop.
    await this.#host.clock.nextTurn()
    while (!this.#closing.signal.aborted) {
      const seal = this.#seals[0]
      if (seal !== undefined && this.#log.flushed >= seal.at) {
        this.#seals.shift()
        seal.resolve(this.#host.runs.retainAll())
        continue
      }
      const end = seal?.at ?? this.#spontaneousEnd()
      if (end === undefined) break
      try {
        await this.#flushUpTo(end)
        this.#full = undefined
      } catch (error) {
        if (!isEngineError(error, "STORAGE_FULL")) {
          this.#host.poison(error)
          this.#giveUp(error)
          break
        }
        this.#full = error
        this.#giveUp(error)
        await this.#host.clock.sleep(FULL_RETRY_MS, this.#closing.signal)
      }
      // A seal may have asked for a small part only: then the writers wait for the next one, unless the disk is full.
      if (this.#full !== undefined || !this.#isBehind()) this.#releaseWriters()
    }
    this.#isRunning = false
    this.#releaseWriters()
  }

  async #flushUpTo(end: number): Promise<void> {
    const log = this.#log
    const start = log.flushed
    const buffer = new ArrayBuffer(end - start)
    for (let at = 0; at < buffer.byteLength; at += COPY_BYTES) {
      log.copyTo(new Uint8Array(buffer, at, Math.min(COPY_BYTES, buffer.byteLength - at)), start + at)
      await this.#host.clock.nextTurn()
    }
    const { directory, executor, hashSeed, random, runs } = this.#host
    const origin = { ...newRunOrigin(directory, random, { level: 0, version: runs.version }), hashSeed }
    const path = directory.pathFor(origin)
    const figures = await executor.run(flushLog, { buffer, path, origin }, [buffer])
    if (figures !== undefined) {
      runs.add(await directory.adopt(figures), start)
      this.flushCount++
      this.bytesFlushed += figures.bytes
    }
    log.flushed = end
  }

  #giveUp(error: unknown): void {
    for (const seal of this.#seals.splice(0)) seal.reject(error)
    this.#releaseWriters()
  }

  #releaseWriters(): void {
    const relief = this.#relief
    if (relief === undefined) return
    this.#relief = undefined
    relief.resolve()
  }
}
