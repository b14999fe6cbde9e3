// Reads runs into the bottom map, oldest first: a newer record of a key takes the place of the one before, and the keys
// keep the order in which they came.

import { decodeRecord, RecordCursor } from "../../base/record.ts"
import type { OpenRun } from "../../runs/run-set.ts"
import type { Layers } from "./layers.ts"

/** Records, and bytes of them, that are loaded in one turn of the event loop: 1 to 2 ms. */
const SLICE_RECORDS = 512
const SLICE_BYTES = 256 * 1024

/** What happens while runs are loaded; nothing in the meantime when it is undefined. */
export interface LoadPauses {
  readonly beforeRun: (run: OpenRun) => Promise<void>
  readonly betweenSlices: () => Promise<void>
}

/** Loads runs into the bottom map. When it fails, the next call goes on behind the last record that was loaded. */
export class RunLoader {
  readonly #oldestFirst: readonly OpenRun[]
  readonly #layers: Layers
  readonly #sliceRecords: number
  #runsLoaded = 0
  /** Of the run that is being loaded. */
  #recordsLoaded = 0

  constructor(newestFirst: readonly OpenRun[], layers: Layers, sliceRecords = SLICE_RECORDS) {
    this.#sliceRecords = sliceRecords
    this.#oldestFirst = [...newestFirst].reverse()
    this.#layers = layers
  }

  /** @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED`, `REPOSITORY_FAILED`, and what the pauses reject with */
  async load(pauses?: LoadPauses): Promise<void> {
    for (; this.#runsLoaded < this.#oldestFirst.length; this.#runsLoaded++) {
      const run = this.#oldestFirst[this.#runsLoaded]!
      await pauses?.beforeRun(run)
      await this.#loadRun(run, pauses)
      this.#recordsLoaded = 0
    }
  }

  async #loadRun(run: OpenRun, pauses: LoadPauses | undefined): Promise<void> {
    const cursor = new RecordCursor()
    let sliceRecords = 0
    let sliceBytes = 0
    for await (const { bytes, bytesOffset, hashes, from, to } of run.scan()) {
      const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
      for (let i = Math.max(from, this.#recordsLoaded - hashes.first); i < to; i++) {
        decodeRecord(source, hashes.offset[i]! - bytesOffset, source.length, cursor)
        const { start, keyStart, keyEnd, valueStart, end } = cursor
        const key = source.toString("latin1", keyStart, keyEnd)
        this.#layers.load(key, Uint8Array.prototype.slice.call(bytes, valueStart, end))
        this.#recordsLoaded++
        sliceBytes += end - start
        if (++sliceRecords < this.#sliceRecords && sliceBytes < SLICE_BYTES) continue
        sliceRecords = 0
        sliceBytes = 0
        await pauses?.betweenSlices()
      }
    }
  }
}
