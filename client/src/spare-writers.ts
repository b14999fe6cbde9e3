// Buffers of frames that were answered, for frames to come: a frame's buffer grows once, not once a frame.

import { RecordWriter } from "@varve/proto"

const SPARES_MAX = 16
/** A larger buffer is let go. */
const SPARE_BYTES_MAX = 256 * 1024

export class SpareWriters {
  readonly #spares: RecordWriter[] = []

  /** An empty writer. */
  take(): RecordWriter {
    return this.#spares.pop() ?? new RecordWriter()
  }

  /** Nobody reads what the writer holds any more. */
  give(writer: RecordWriter): void {
    if (this.#spares.length >= SPARES_MAX || writer.capacity > SPARE_BYTES_MAX) return
    writer.clear()
    this.#spares.push(writer)
  }
}
