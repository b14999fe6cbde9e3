// Buffers of frames that were answered, for frames to come: a frame's buffer grows once, not once a frame.

import { RecordWriter } from "@varve/proto"
import { HEAD_BYTES_MAX } from "./frame-message.ts"

const SPARES_MAX = 16
/** Of all spare buffers together: as much as frames on their way have by default. */
const SPARE_BYTES_MAX = 8 * 1024 * 1024

export class SpareWriters {
  readonly #spares: RecordWriter[] = []
  #bytes = 0

  /** An empty writer. */
  take(): RecordWriter {
    const spare = this.#spares.pop()
    if (spare === undefined) return new RecordWriter(HEAD_BYTES_MAX)
    this.#bytes -= spare.capacity
    return spare
  }

  /** Nobody reads what the writer holds any more. */
  give(writer: RecordWriter): void {
    if (this.#spares.length >= SPARES_MAX || this.#bytes + writer.capacity > SPARE_BYTES_MAX) return
    this.#bytes += writer.capacity
    writer.clear()
    this.#spares.push(writer)
  }
}
