// What an append log flushes: it streams the log to the file of the newest run, and finishes runs.
//
//        finished runs  │ the newest run: in memory, and in its file up to `written`
//     ──────────────────┼─────────────────┬──────────────────────┬───────────
//                   flushed           written              next cut       tail
//
// Steps: what has come since the last write goes to the file in one more write, without a sync; where a run is to
// end (a cut: the threshold is reached, or a seal) a job finishes its file, and the next bytes begin another. Memory
// keeps a run until it is finished, so that nobody reads an unfinished file, and a run that could not be finished for
// want of space is written once more from the start.
//
// A crash leaves at most a temporary file, which the directory removes when it is opened.

import { crc32 } from "node:zlib"
import type { CoreHost } from "../../core.ts"
import type { MemoryLog } from "../../hashed/memory-log.ts"
import type { File } from "../../io/file-system.ts"
import { TEMPORARY_SUFFIX } from "../../io/publish-file.ts"
import type { FlushWork } from "../../runs/flush-loop.ts"
import { newRun } from "../../runs/new-run.ts"
import type { RunFigures } from "../../runs/run.ts"
import type { RunOrigin } from "../../runs/run-writer.ts"
import { finishRun } from "./finish-run.ts"
import type { AppendLogSettings } from "./settings.ts"

/** Bytes of one write at most: their checksum takes the loop 0.25 ms. */
const WRITE_BYTES_MAX = 1024 * 1024

/** A file that has records of a run, and nothing else yet. */
interface UnfinishedRun {
  readonly origin: RunOrigin
  readonly path: string
  readonly file: File
  /** Checksum of what was written. */
  crc: number
}

/** A step is the address up to which the file is written, or, when it is, the run finished. */
export class RunAppender implements FlushWork<number> {
  readonly #host: CoreHost<AppendLogSettings>
  readonly #log: MemoryLog
  readonly #pressureBytes: number
  /** Where runs are to end, ascending; the tail of the moment is always between records. */
  readonly #cuts: number[] = []
  #cutDue: number
  #run: UnfinishedRun | undefined
  #written: number

  /** @param pressureBytes how much may be in no finished run before writers wait */
  constructor(host: CoreHost<AppendLogSettings>, log: MemoryLog, pressureBytes: number) {
    this.#host = host
    this.#log = log
    this.#pressureBytes = pressureBytes
    this.#written = log.flushed
    this.#cutDue = log.flushed + host.settings.threshold
  }

  get flushed(): number {
    return this.#log.flushed
  }

  isDue(): boolean {
    if (this.#log.tail >= this.#cutDue) this.#cut(this.#log.tail)
    return this.next() !== undefined
  }

  isBehind(): boolean {
    return this.#log.tail - this.#log.flushed > this.#pressureBytes
  }

  sealed(at: number): void {
    this.#cut(at)
  }

  next(): number | undefined {
    return this.#cuts[0] ?? (this.#written < this.#log.tail ? this.#log.tail : undefined)
  }

  async flush(end: number): Promise<RunFigures | undefined> {
    if (this.#written === end) return this.#finish(end)
    await this.#append(end)
    return undefined
  }

  async close(): Promise<void> {
    // A file that stays does no harm: the directory removes it when it is opened.
    await this.#abandonRun().catch(() => undefined)
  }

  /** The newest run ends at `tail`. */
  #cut(tail: number): void {
    if (tail > (this.#cuts.at(-1) ?? this.#log.flushed)) this.#cuts.push(tail)
    this.#cutDue = tail + this.#host.settings.threshold
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
    const { fileSystem } = this.#host
    const { origin, path } = newRun(this.#host, 0)
    await fileSystem.remove(path + TEMPORARY_SUFFIX)
    return { origin, path, file: await fileSystem.open(path + TEMPORARY_SUFFIX, "create"), crc: 0 }
  }

  /** Makes the newest run, whose records are all in its file, part of the state. */
  async #finish(end: number): Promise<RunFigures | undefined> {
    const { directory, executor, runs } = this.#host
    const { origin, path, file, crc } = this.#run!
    const recordsBytes = end - this.#log.flushed
    // Whether the job succeeds or not, the file is not ours any more.
    this.#run = undefined
    this.#written = this.#log.flushed
    await file.close()
    const figures = await executor.run(finishRun, { path, origin, recordsBytes, crc })
    if (figures !== undefined) runs.add(await directory.adopt(figures), this.#log.flushed)
    this.#log.flushed = end
    this.#written = end
    this.#cuts.shift()
    return figures
  }

  async #abandonRun(): Promise<void> {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    await run.file.close()
    await this.#host.fileSystem.remove(run.path + TEMPORARY_SUFFIX)
  }
}
