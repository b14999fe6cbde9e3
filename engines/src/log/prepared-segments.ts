// Keeps one empty segment ready behind the one that is written, so that a full disk is met before anything is taken,
// and nobody waits for zeros. Segments grow from one to the next up to the setting: an idle log takes little room.

import type { EngineError } from "../base/error.ts"
import { isEngineError } from "../base/error.ts"
import { SECTOR_BYTES } from "./log-format.ts"
import type { OpenedLog } from "./open-segments.ts"
import { createSegment, type WritableSegment } from "./segment-file.ts"

/** Length of a log's first segment; each is twice as long as the one before. */
const SEGMENT_BYTES_FIRST = 256 * 1024
/** How long to wait before a full disk is tried again. */
export const FULL_RETRY_MS = 1000

export class PreparedSegments {
  readonly #log: OpenedLog
  readonly #segmentBytesMax: number
  readonly #signal: AbortSignal
  /** Ends the wait for a full disk. */
  readonly #wake = new AbortController()
  readonly #onFailure: (error: unknown) => void
  #bytes: number
  #number: number
  #ready: WritableSegment | undefined
  #work: Promise<void> | undefined
  #full: EngineError | undefined
  #hasFailed = false
  #givesUpWhenFull = false

  /**
   * @param number of the next segment to be made
   * @param onFailure hears of a disk that fails; nothing is prepared afterwards
   */
  constructor(
    log: OpenedLog,
    settings: { readonly number: number; readonly segmentBytes: number; readonly signal: AbortSignal },
    onFailure: (error: unknown) => void,
  ) {
    this.#log = log
    this.#segmentBytesMax = settings.segmentBytes
    this.#number = settings.number
    this.#signal = settings.signal
    this.#bytes = Math.min(SEGMENT_BYTES_FIRST, settings.segmentBytes)
    this.#onFailure = onFailure
  }

  /** Why no segment is ready, while the disk is full. */
  get full(): EngineError | undefined {
    return this.#full
  }

  /** Free sectors of the one that is ready. */
  get readySectors(): number {
    return this.#ready === undefined ? 0 : this.#ready.sectorCount - 1
  }

  /** Begins to prepare the next one, of at least `sectors` free ones, unless it is ready. */
  prepare(sectors = 0): void {
    this.#work ??= this.#prepare(sectors).finally(() => {
      this.#work = undefined
    })
  }

  /** The next segment, with `sectors` free ones; the caller closes it. Undefined when the log is closed or failed. */
  async take(sectors: number): Promise<WritableSegment | undefined> {
    while (this.readySectors < sectors) {
      if (this.#signal.aborted || this.#hasFailed) return undefined
      if (this.#givesUpWhenFull && this.#full !== undefined) return undefined
      this.prepare(sectors)
      await this.#work
    }
    const taken = this.#ready!
    this.#ready = undefined
    this.#number++
    return taken
  }

  /** From now on a full disk is not waited for: the log is being closed. */
  giveUpWhenFull(): void {
    this.#givesUpWhenFull = true
    this.#wake.abort()
  }

  async close(): Promise<void> {
    await this.#work
    await this.#ready?.file.close()
    this.#ready = undefined
  }

  async #prepare(sectors: number): Promise<void> {
    while (!this.#signal.aborted && (this.#ready === undefined || this.readySectors < sectors)) {
      const name = { id: this.#log.id, number: this.#number }
      const count = Math.max(sectors + 1, Math.floor(this.#bytes / SECTOR_BYTES))
      try {
        const made = await createSegment(this.#log.fileSystem, this.#log.directory, name, count)
        await this.#ready?.file.close()
        this.#ready = made
        this.#full = undefined
        this.#bytes = Math.min(this.#segmentBytesMax, 2 * this.#bytes)
      } catch (error) {
        if (!isEngineError(error, "STORAGE_FULL")) {
          this.#hasFailed = true
          this.#onFailure(error)
          return
        }
        this.#full = error
        if (this.#givesUpWhenFull) return
        await this.#log.clock.sleep(FULL_RETRY_MS, this.#wake.signal, "idle")
      }
    }
  }
}
