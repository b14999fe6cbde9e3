// What finds a key in a sorted run: its filter and its fences, read when the run is opened.

import { BloomFilter } from "./bloom-filter.ts"
import { type Fences, FencesReader } from "./fences.ts"
import type { RunFile } from "./run-file.ts"

export interface SortedIndex {
  readonly filter: BloomFilter
  readonly fences: Fences
}

/** Undefined when the run is not sorted. @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED` */
export async function readSortedIndex(run: RunFile): Promise<SortedIndex | undefined> {
  const { index, figures } = run.layout
  if ("hashes" in index) return undefined
  const { recordsBytes, recordCount } = figures
  const reader = new FencesReader({ path: run.path, recordsBytes, sectionBytes: index.fences.bytes })
  for await (const piece of run.section(index.fences)) reader.push(piece)
  const fences = reader.finish(recordCount)
  const section = new Uint8Array(index.filter.bytes)
  let at = 0
  for await (const piece of run.section(index.filter)) {
    section.set(piece, at)
    at += piece.length
  }
  return { filter: BloomFilter.decode(section, run.path), fences }
}
