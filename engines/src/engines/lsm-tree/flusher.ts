// Writes sealed memtables to disk, oldest first, each as one sorted run of level 0.
//
// A seal's promise resolves with the run set of the very moment in which everything below the seal is on disk and
// nothing above it is.

import { EngineError, isEngineError } from "../../base/error.ts"
import type { CoreHost, Seal } from "../../core.ts"
import { newRunOrigin } from "../../runs/new-run-origin.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { Relief, WaitingSeals } from "../../runs/waiting-seals.ts"
import { flushMemtable } from "./flush-memtable.ts"
import type { Memtable } from "./memtable.ts"
import type { Memtables } from "./memtables.ts"
import type { LsmTreeSettings } from "./settings.ts"

/** Bytes copied for the writing thread in one turn of the event loop: about 0.2 ms. */
const COPY_BYTES = 1024 * 1024
/** How long to wait before writing is tried again on a full disk. */
const FULL_RETRY_MS = 1000
/** Writers wait when more memtables than this are sealed and not flushed. */
const SEALED_MAX = 2

export class Flusher {
  readonly #host: CoreHost<LsmTreeSettings>
  readonly #memtables: Memtables
  readonly #seals: WaitingSeals
  readonly #relief = new Relief()
  #loop: Promise<void> = Promise.resolve()
  /** Ends in the same turn as the loop: a writer that is released may come back at once. */
  #isRunning = false
  #full: EngineError | undefined
  readonly #closing = new AbortController()
  flushCount = 0
  bytesFlushed = 0

  constructor(host: CoreHost<LsmTreeSettings>, memtables: Memtables) {
    this.#host = host
    this.#memtables = memtables
    this.#seals = new WaitingSeals(host.runs)
  }

  /** Set while the disk is full; writing is tried again until it is not. */
  get full(): EngineError | undefined {
    return this.#full
  }

  /** Starts to write when a memtable is sealed. Cheap. */
  request(): void {
    if (!this.#isRunning && this.#memtables.sealedCount > 0) this.#start()
  }

  /** Undefined, or, when the disk is behind the writers, a promise that resolves when it has caught up. */
  pressure(): Promise<void> | undefined {
    if (this.#memtables.sealedCount <= SEALED_MAX || !this.#isRunning || this.#full !== undefined)
      return undefined
    return this.#relief.wait()
  }

  /** Resolves the retained runs that hold everything below the seal. Seals are flushed in the order of the calls. */
  flush(seal: Seal): Promise<readonly OpenRun[]> {
    const runs = this.#seals.wait(seal.at)
    if (!this.#isRunning) this.#start()
    return runs
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#loop
    this.#giveUp(new EngineError("ENGINE_CLOSED", "the engine was closed before the flush was done"))
  }

  #start(): void {
    this.#isRunning = true
    this.#loop = this.#run()
  }

  async #run(): Promise<void> {
    // In a later turn: the caller of a write goes on first, and the copy starts from the event loop.
    await this.#host.clock.nextTurn()
    while (!this.#closing.signal.aborted) {
      this.#seals.flushedTo(this.#memtables.flushed)
      const memtable = this.#memtables.oldestSealed
      if (memtable === undefined) break
      try {
        await this.#flushOne(memtable)
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
      if (this.#memtables.sealedCount <= SEALED_MAX) this.#relief.release()
    }
    this.#isRunning = false
    this.#relief.release()
  }

  async #flushOne(memtable: Memtable): Promise<void> {
    const { clock, directory, executor, hashSeed, random, runs, settings } = this.#host
    const buffer = new ArrayBuffer(memtable.end)
    const target = new Uint8Array(buffer)
    for (let at = 0; at < target.length; at += COPY_BYTES) {
      target.set(memtable.bytes.subarray(at, Math.min(at + COPY_BYTES, target.length)), at)
      await clock.nextTurn()
    }
    const origin = { ...newRunOrigin(directory, random, { level: 0, version: runs.version }), hashSeed }
    const path = directory.pathFor(origin)
    const { densityFactor, bloomFalsePositiveRate } = settings
    const shape = { densityFactor, bloomFalsePositiveRate }
    // Runs are added by this loop alone: when there are none now, none is older than what is written here.
    const dropsTombstones = runs.newestFirst.length === 0
    const input = { buffer, path, origin, shape, dropsTombstones }
    const figures = await executor.run(flushMemtable, input, [buffer])
    const run = figures === undefined ? undefined : await directory.adopt(figures)
    // In one turn: no reader finds the records in neither place, or a version in both.
    this.#memtables.drop(memtable)
    if (run === undefined || figures === undefined) return
    this.flushCount++
    this.bytesFlushed += figures.bytes
    runs.add(run)
  }

  #giveUp(error: unknown): void {
    this.#seals.rejectAll(error)
    this.#relief.release()
  }
}
