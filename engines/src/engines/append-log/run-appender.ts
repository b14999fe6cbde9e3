// Streams the log to the file of the newest run, and finishes runs.
//
//        finished runs  │ the newest run: in memory, and in its file up to `written`
//     ──────────────────┼─────────────────┬──────────────────────┬───────────
//                   flushed           written              next cut       tail
//
// One loop: what has come since the last write goes to the file in one more write, without a sync; where a run is to
// end (a cut: the threshold is reached, or a seal) a job finishes its file, and the next bytes begin another. Memory
// keeps a run until it is finished, so that nobody reads an unfinished file, and a run that could not be finished for
// want of space is written once more from the start.
//
// A crash leaves at most a temporary file, which the directory removes when it is opened.

import { crc32 } from "node:zlib"
import { EngineError, isEngineError } from "../../base/error.ts"
import type { CoreHost, Seal } from "../../core.ts"
import type { LogSink } from "../../hashed/log-sink.ts"
import type { MemoryLog } from "../../hashed/memory-log.ts"
import type { File } from "../../io/file-system.ts"
import { newRunOrigin } from "../../runs/new-run-origin.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import { type RunOrigin, TEMPORARY_SUFFIX } from "../../runs/run-writer.ts"
import { Relief, WaitingSeals } from "../../runs/waiting-seals.ts"
import { finishRun } from "./finish-run.ts"
import type { AppendLogSettings } from "./settings.ts"

/** Bytes of one write at most: their checksum takes the loop 0.25 ms. */
const WRITE_BYTES_MAX = 1024 * 1024
/** How long to wait before writing is tried again on a full disk. */
const FULL_RETRY_MS = 1000

/** A file that has records of a run, and nothing else yet. */
interface UnfinishedRun {
  readonly origin: RunOrigin
  readonly path: string
  readonly file: File
  /** Checksum of what was written. */
  crc: number
}

export class RunAppender implements LogSink {
  readonly #host: CoreHost<AppendLogSettings>
  readonly #log: MemoryLog
  readonly #pressureBytes: number
  readonly #seals: WaitingSeals
  readonly #relief = new Relief()
  readonly #closing = new AbortController()
  /** Where runs are to end, ascending; the tail of the moment is always between records. */
  readonly #cuts: number[] = []
  #cutDue: number
  #run: UnfinishedRun | undefined
  #written: number
  #loop: Promise<void> = Promise.resolve()
  /** Ends in the same turn as the loop: a writer that is released may come back at once. */
  #isRunning = false
  #full: EngineError | undefined
  #failure: unknown
  flushCount = 0
  bytesFlushed = 0

  /** @param pressureBytes how much may be in no finished run before writers wait */
  constructor(host: CoreHost<AppendLogSettings>, log: MemoryLog, pressureBytes: number) {
    this.#host = host
    this.#log = log
    this.#pressureBytes = pressureBytes
    this.#seals = new WaitingSeals(host.runs)
    this.#written = log.flushed
    this.#cutDue = log.flushed + host.settings.threshold
  }

  get full(): EngineError | undefined {
    return this.#full
  }

  request(): void {
    if (this.#log.tail >= this.#cutDue) this.#cut()
    if (!this.#isRunning && this.#failure === undefined) this.#start()
  }

  pressure(): Promise<void> | undefined {
    if (this.#log.tail - this.#log.flushed <= this.#pressureBytes) return undefined
    if (!this.#isRunning || this.#full !== undefined) return undefined
    return this.#relief.wait()
  }

  flush(seal: Seal): Promise<readonly OpenRun[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#cut()
    const flushed = this.#seals.wait(seal.at)
    if (!this.#isRunning) this.#start()
    return flushed
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#loop
    this.#giveUp(new EngineError("ENGINE_CLOSED", "the engine was closed before the flush was done"))
    // A file that stays does no harm: the directory removes it when it is opened.
    await this.#abandonRun().catch(() => undefined)
  }

  /** The newest run ends at the tail. */
  #cut(): void {
    const { tail } = this.#log
    if (tail > (this.#cuts.at(-1) ?? this.#log.flushed)) this.#cuts.push(tail)
    this.#cutDue = tail + this.#host.settings.threshold
  }

  #start(): void {
    this.#isRunning = true
    this.#loop = this.#work()
  }

  async #work(): Promise<void> {
    // In a later turn: what is written in this one goes to the file in one write.
    await this.#host.clock.nextTurn()
    while (!this.#closing.signal.aborted) {
      this.#seals.flushedTo(this.#log.flushed)
      const end = this.#cuts[0] ?? this.#log.tail
      if (this.#written === end && this.#cuts.length === 0) break
      try {
        if (this.#written < end) await this.#append(end)
        else await this.#finish(end)
        this.#full = undefined
      } catch (error) {
        if (!isEngineError(error, "STORAGE_FULL")) {
          this.#failure = error
          this.#host.poison(error)
          this.#giveUp(error)
          break
        }
        this.#full = error
        this.#giveUp(error)
        await this.#host.clock.sleep(FULL_RETRY_MS, this.#closing.signal)
      }
      if (this.#log.tail - this.#log.flushed <= this.#pressureBytes) this.#relief.release()
    }
    this.#isRunning = false
    this.#relief.release()
  }

  /** Writes what lies in one piece in memory of `[written, end)`; it does not change while it is there. */
  async #append(end: number): Promise<void> {
    this.#run ??= await this.#begin()
    const { bytes, capacity } = this.#log
    const offset = this.#log.offsetOf(this.#written)
    const length = Math.min(end - this.#written, capacity - offset, WRITE_BYTES_MAX)
    const piece = bytes.subarray(offset, offset + length)
    await this.#run.file.write(piece, this.#written - this.#log.flushed)
    this.#run.crc = crc32(piece, this.#run.crc)
    this.#written += length
  }

  async #begin(): Promise<UnfinishedRun> {
    const { directory, fileSystem, hashSeed, random, runs } = this.#host
    const origin = { ...newRunOrigin(directory, random, { level: 0, version: runs.version }), hashSeed }
    const path = directory.pathFor(origin)
    await fileSystem.remove(path + TEMPORARY_SUFFIX)
    return { origin, path, file: await fileSystem.open(path + TEMPORARY_SUFFIX, "create"), crc: 0 }
  }

  /** Makes the newest run, whose records are all in its file, part of the state. */
  async #finish(end: number): Promise<void> {
    const { directory, executor, runs } = this.#host
    const { origin, path, file, crc } = this.#run!
    const recordsBytes = end - this.#log.flushed
    // Whether the job succeeds or not, the file is not ours any more.
    this.#run = undefined
    this.#written = this.#log.flushed
    await file.close()
    const figures = await executor.run(finishRun, { path, origin, recordsBytes, crc })
    if (figures !== undefined) {
      runs.add(await directory.adopt(figures), this.#log.flushed)
      this.flushCount++
      this.bytesFlushed += figures.bytes
    }
    this.#log.flushed = end
    this.#written = end
    this.#cuts.shift()
  }

  async #abandonRun(): Promise<void> {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    await run.file.close()
    await this.#host.fileSystem.remove(run.path + TEMPORARY_SUFFIX)
  }

  #giveUp(error: unknown): void {
    this.#seals.rejectAll(error)
    this.#relief.release()
  }
}
