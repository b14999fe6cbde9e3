// The job that makes a run of a file that has all its records and nothing else: it reads them back, lists them, adds
// hashes, checksums and tail, syncs and publishes. Nothing is written twice.
//
// Memory: the records of the run, while the job goes on, and 24 bytes a record.

import { crc32 } from "node:zlib"
import { EngineError } from "../../base/error.ts"
import { ListedRecords } from "../../hashed/listed-records.ts"
import { defineJob } from "../../io/executor.ts"
import type { RunFigures } from "../../runs/run.ts"
import { type RunOrigin, RunWriter } from "../../runs/run-writer.ts"

/** Bytes read at a time. */
const READ_BYTES = 1024 * 1024

export interface FinishRunInput {
  /** Of the run; the records are in the temporary file beside it. */
  readonly path: string
  readonly origin: RunOrigin
  /** Length of the file, and the checksum of its bytes as they were in memory. */
  readonly recordsBytes: number
  readonly crc: number
}

/** Figures of the published, durable run; undefined, and no run, when the file holds no record at all. */
export const finishRun = defineJob<FinishRunInput, RunFigures | undefined>(
  import.meta.url,
  "finishRun",
  async ({ fileSystem }, { path, origin, recordsBytes, crc }) => {
    const writer = await RunWriter.edit(fileSystem, path, origin)
    try {
      const bytes = new Uint8Array(recordsBytes)
      for (let at = 0; at < recordsBytes; at += READ_BYTES) {
        await writer.adopt(bytes.subarray(at, Math.min(at + READ_BYTES, recordsBytes)))
      }
      if (crc32(bytes) !== crc) {
        throw new EngineError("DATA_LOSS", `the unfinished run ${path} does not hold what was written to it`)
      }
      const records = new ListedRecords(bytes, origin.hashSeed, `the unfinished run ${path}`)
      if (records.count === 0) {
        await writer.abandon()
        return undefined
      }
      records.listUpTo(recordsBytes, writer)
      return await writer.finish()
    } catch (error) {
      await writer.abandon()
      throw error
    }
  },
)
