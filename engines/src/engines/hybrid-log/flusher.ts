// Writes the read-only region to disk, piece after piece in address order: each piece becomes one run that covers
// the same addresses. Two causes, one loop: the region is long enough, or a seal waits for everything below it.
//
// A seal's promise resolves with the run set of the very moment in which everything below the seal is on disk and
// nothing above it is.

import { EngineError, isEngineError } from "../../base/error.ts"
import type { CoreHost, Seal } from "../../core.ts"
import type { LogSink } from "../../hashed/log-sink.ts"
import type { MemoryLog } from "../../hashed/memory-log.ts"
import { newRunOrigin } from "../../runs/new-run-origin.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { Relief, WaitingSeals } from "../../runs/waiting-seals.ts"
import { flushLog } from "./flush-log.ts"
import type { HybridLogSettings } from "./settings.ts"

/** Bytes copied for the writing thread in one turn of the event loop: about 0.2 ms. */
const COPY_BYTES = 1024 * 1024
/** How long to wait before writing is tried again on a full disk. */
const FULL_RETRY_MS = 1000

export class Flusher implements LogSink {
  readonly #host: CoreHost<HybridLogSettings>
  readonly #log: MemoryLog
  readonly #intervalBytes: number
  readonly #pressureBytes: number
  readonly #seals: WaitingSeals
  readonly #relief = new Relief()
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
    this.#seals = new WaitingSeals(host.runs)
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
    return this.#relief.wait()
  }

  /** Resolves the retained runs that hold everything below the seal. Seals are flushed in the order of the calls. */
  flush(seal: Seal): Promise<readonly OpenRun[]> {
    const flushed = this.#seals.wait(seal.at)
    if (!this.#isRunning) this.#start()
    return flushed
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
      this.#seals.flushedTo(this.#log.flushed)
      const end = this.#seals.first ?? this.#spontaneousEnd()
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
      if (this.#full !== undefined || !this.#isBehind()) this.#relief.release()
    }
    this.#isRunning = false
    this.#relief.release()
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
    this.#seals.rejectAll(error)
    this.#relief.release()
  }
}
