// The job that turns a range of the log into a run, byte for byte: the record at log address `start + x` is at
// offset `x` of the run.

import { ListedRecords } from "../../hashed/listed-records.ts"
import { defineJob } from "../../io/executor.ts"
import type { RunFigures } from "../../runs/run.ts"
import { type RunOrigin, RunWriter } from "../../runs/run-writer.ts"

/** Bytes given to the writer at a time. */
const APPEND_BYTES = 1024 * 1024

export interface FlushLogInput {
  /** The range of the log. */
  readonly buffer: ArrayBuffer
  readonly path: string
  readonly origin: RunOrigin
}

/** Figures of the published, durable run; undefined, and no run, when the range holds no record at all. */
export const flushLog = defineJob<FlushLogInput, RunFigures | undefined>(
  import.meta.url,
  "flushLog",
  async ({ fileSystem }, { buffer, path, origin }) => {
    const bytes = new Uint8Array(buffer)
    const records = new ListedRecords(bytes, origin.hashSeed, "the log in memory")
    if (records.count === 0) return undefined
    const writer = await RunWriter.create(fileSystem, path, origin)
    try {
      for (let at = 0; at < bytes.length; at += APPEND_BYTES) {
        const end = Math.min(at + APPEND_BYTES, bytes.length)
        const pending = writer.append(bytes.subarray(at, end))
        if (pending !== undefined) await pending
        records.listUpTo(end, writer)
      }
      return await writer.finish()
    } catch (error) {
      await writer.abandon()
      throw error
    }
  },
)
