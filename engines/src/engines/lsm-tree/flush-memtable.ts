// The job that turns a memtable into a sorted run: of each key its newest record, in the order of the keys.

import { compareRanges } from "../../base/bytes.ts"
import { decodeRecord, RecordCursor } from "../../base/record.ts"
import { defineJob } from "../../io/executor.ts"
import type { RunFigures } from "../../runs/run.ts"
import type { RunOrigin } from "../../runs/run-writer.ts"
import { recordSource, type SortedRunShape, SortedRunWriter } from "../../runs/sorted-run-writer.ts"
import { listRecords, sortRecords } from "./sort-records.ts"

/** Records whose first bytes are asked for ahead: in sorted order each lies somewhere else in the buffer. */
const TOUCH_RECORDS = 64
/** A line of the processor's cache. */
const LINE_BYTES = 64

export interface FlushMemtableInput {
  /** The memtable's records, dead ones among them. */
  readonly buffer: ArrayBuffer
  readonly path: string
  readonly origin: RunOrigin
  readonly shape: SortedRunShape
  /** Leave tombstones out: no older run holds their keys. */
  readonly dropsTombstones: boolean
}

/** Figures of the published, durable run; undefined, and no run, when nothing is left to be in it. */
export const flushMemtable = defineJob<FlushMemtableInput, RunFigures | undefined>(
  import.meta.url,
  "flushMemtable",
  async ({ fileSystem }, { buffer, path, origin, shape, dropsTombstones }) => {
    const bytes = Buffer.from(buffer)
    const offsets = listRecords(bytes, bytes.length)
    sortRecords(bytes, offsets)
    const writer = await SortedRunWriter.create(fileSystem, path, origin, shape)
    try {
      const source = recordSource(bytes)
      const cursor = new RecordCursor()
      let keyStart = 0
      let keyEnd = 0
      for (let i = 0; i < offsets.length; i++) {
        if (i % TOUCH_RECORDS === 0) touched.bytes = touch(bytes, offsets, i)
        decodeRecord(bytes, offsets[i]!, bytes.length, cursor)
        const isOverwritten =
          i > 0 && compareRanges(bytes, keyStart, keyEnd, bytes, cursor.keyStart, cursor.keyEnd) === 0
        keyStart = cursor.keyStart
        keyEnd = cursor.keyEnd
        if (isOverwritten || (dropsTombstones && cursor.isTombstone)) continue
        const pending = writer.add(source, cursor)
        if (pending !== undefined) await pending
      }
      if (writer.recordCount > 0) return await writer.finish()
      await writer.abandon()
      return undefined
    } catch (error) {
      await writer.abandon()
      throw error
    }
  },
)

/** Of no meaning: keeps `touch` from being optimised away. */
const touched = { bytes: 0 }

/** Loads the first bytes of the records from `first` on, so that the processor waits for all of them at once. */
function touch(bytes: Buffer, offsets: Uint32Array, first: number): number {
  const end = Math.min(first + TOUCH_RECORDS, offsets.length)
  const last = bytes.length - 1
  let sum = 0
  for (let i = first; i < end; i++) {
    const at = offsets[i]!
    sum |= bytes[at]! | bytes[Math.min(at + LINE_BYTES, last)]!
  }
  return sum
}
