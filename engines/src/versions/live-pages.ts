// Every live record of a version's runs exactly once, in memory that does not follow their values.
//
//   hashed runs   which records are live is found first, by hashes and then keys (runs/live-records.ts: 1 to 5 bytes a
//                 record and at most 100 MiB); then run after run, oldest first, in file order
//   sorted runs   a merge of one stream a run, in the order of keys: a window for each
//
// Hashed runs are not given in the order of keys: that would take a sort of all of them on a disk that is not ours.

import { compareBytes, startsWith } from "../base/bytes.ts"
import type { KeySelection } from "../base/key-selection.ts"
import { decodeRecord, RecordCursor } from "../base/record.ts"
import { LiveRecords } from "../runs/live-records.ts"
import { StreamHeap } from "../runs/merge-sorted-runs.ts"
import { RecordStream } from "../runs/record-stream.ts"
import type { RunFile } from "../runs/run-file.ts"
import { PageBuilder, type RecordPage, selectsRecord } from "./record-pages.ts"

/** Blocks of a sorted run read at a time: 256 KiB. */
const WINDOW_BLOCKS = 64

/** @param runs newest first. @throws (rejects) EngineError `DATA_LOSS`, `REPOSITORY_FAILED` */
export async function* hashedPages(
  runs: readonly RunFile[],
  selection: KeySelection,
): AsyncGenerator<RecordPage, void, undefined> {
  const live = await LiveRecords.find(runs)
  const page = new PageBuilder()
  const cursor = new RecordCursor()
  for (let run = runs.length - 1; run >= 0; run--) {
    for await (const { bytes, bytesOffset, hashes, from, to } of runs[run]!.scan()) {
      for (let i = from; i < to; i++) {
        if (hashes.tombstone[i] === 1 || !live.isLive(run, hashes.first + i)) continue
        decodeRecord(bytes, hashes.offset[i]! - bytesOffset, bytes.length, cursor)
        if (!selectsRecord(selection, bytes, cursor)) continue
        if (page.isFullFor(cursor.end - cursor.start)) yield page.take()
        page.add(bytes, cursor)
      }
    }
  }
  if (!page.isEmpty) yield page.take()
}

/** @param runs newest first; with a lower bound in `selection` their indexes were read. @throws as `hashedPages` */
export async function* sortedPages(
  runs: readonly RunFile[],
  selection: KeySelection,
): AsyncGenerator<RecordPage, void, undefined> {
  const heap = new StreamHeap()
  const lowest = lowerBound(selection)
  for (const [age, run] of runs.entries()) {
    const stream = new RecordStream(run, WINDOW_BLOCKS, startOf(run, lowest))
    if (await stream.advance()) heap.push(stream, age)
  }
  const page = new PageBuilder()
  for (let stream = heap.first; stream !== undefined; stream = heap.first) {
    const { bytes, cursor } = stream
    if (isBeyond(selection, bytes.subarray(cursor.keyStart, cursor.keyEnd))) break
    if (!cursor.isTombstone && selectsRecord(selection, bytes, cursor)) {
      if (page.isFullFor(cursor.end - cursor.start)) yield page.take()
      page.add(bytes, cursor)
    }
    const older = heap.dropOlder()
    if (older !== undefined) await older
    const advanced = stream.advance()
    heap.settle(typeof advanced === "boolean" ? advanced : await advanced)
  }
  if (!page.isEmpty) yield page.take()
}

/** No key below it is selected; undefined: any may be. */
export function lowerBound({ prefix, start }: KeySelection): Uint8Array | undefined {
  if (prefix === undefined || start === undefined) return prefix ?? start
  return compareBytes(prefix, start) > 0 ? prefix : start
}

/** True when neither this key nor any above it is selected. */
function isBeyond({ prefix, end }: KeySelection, key: Uint8Array): boolean {
  if (end !== undefined && compareBytes(key, end) >= 0) return true
  return prefix !== undefined && compareBytes(key, prefix) > 0 && !startsWith(key, prefix)
}

function startOf(run: RunFile, lowest: Uint8Array | undefined): number {
  const fences = run.sortedIndex?.fences
  if (lowest === undefined || fences === undefined || fences.count === 0) return 0
  return fences.start(fences.find(lowest, 0, lowest.length))
}
