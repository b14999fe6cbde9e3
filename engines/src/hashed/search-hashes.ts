// Finding hashes in the hash sections of runs, without an index: all of the section is read and every entry looked at.
// A million records are 12 MB: some 10 ms, a small part of what it takes to build their index.
//
//   section   |h1 h2 offset|h1 h2 offset|h1 h2 …        in record order: 12 bytes an entry, nothing to jump by
//   wanted    a bit for each value of 16 bits of h1, then the hash itself
//
// Blocks are checked as they are read. The next ones are read while these are looked at.

import { blockCount, HASH_ENTRY_BYTES, RUN_BLOCK_BYTES } from "../runs/run-format.ts"
import type { OpenRun } from "../runs/run-set.ts"

/** Entries that are read at a time: looking at them holds the thread for less than a millisecond. */
const PIECE_ENTRIES = 65_536
const PIECE_BYTES = PIECE_ENTRIES * HASH_ENTRY_BYTES
/** Before the first entry may lie the rest of a block, and behind the last one. */
const BUFFER_BYTES = PIECE_BYTES + 2 * RUN_BLOCK_BYTES
const FILTER_SPAN = 2 ** 16
const FILTER_MASK = FILTER_SPAN - 1
const TOMBSTONE_BIT = 0x8000
const U16_SPAN = 2 ** 16
const U32_SPAN = 2 ** 32

/** A record with a wanted hash. */
export interface FoundHash {
  readonly h1: number
  readonly h2: number
  readonly run: OpenRun
  /** Where it starts in the run. */
  readonly offset: number
  readonly isTombstone: boolean
}

/** Both halves of a hash as one number. */
export function hashNumber(h1: number, h2: number): number {
  return h1 * U16_SPAN + h2
}

/**
 * The records of `runs`, which the caller holds, that have one of the `wanted` hashes, given as `hashNumber`s: in the
 * order of the runs, and within a run last ones first. All of the sections is read and its blocks are checked, also
 * when none is wanted.
 * @param onRun called behind each run; true ends the search
 * @throws (rejects) EngineError `DATA_LOSS`, `STORAGE_FAILED`, `REPOSITORY_FAILED`
 */
export async function searchHashes(
  runs: readonly OpenRun[],
  wanted: ReadonlySet<number>,
  onRun: (found: readonly FoundHash[]) => boolean = () => false,
): Promise<FoundHash[]> {
  const filter = new Uint8Array(FILTER_SPAN)
  for (const hash of wanted) filter[Math.floor(hash / U16_SPAN) & FILTER_MASK] = 1
  const all: FoundHash[] = []
  for (const run of runs) {
    const found: FoundHash[] = []
    for await (const entries of hashEntries(run)) searchEntries(entries, run, { filter, wanted }, found)
    found.reverse()
    all.push(...found)
    if (onRun(found)) break
  }
  return all
}

function searchEntries(
  entries: DataView,
  run: OpenRun,
  { filter, wanted }: { readonly filter: Uint8Array; readonly wanted: ReadonlySet<number> },
  found: FoundHash[],
): void {
  if (wanted.size === 0) return
  for (let at = 0; at < entries.byteLength; at += HASH_ENTRY_BYTES) {
    const h1 = entries.getUint32(at, true)
    if (filter[h1 & FILTER_MASK] === 0) continue
    const h2 = entries.getUint16(at + 4, true)
    if (!wanted.has(hashNumber(h1, h2))) continue
    const high = entries.getUint16(at + 10, true)
    const offset = entries.getUint32(at + 6, true) + (high & ~TOMBSTONE_BIT) * U32_SPAN
    found.push({ h1, h2, run, offset, isTombstone: high >= TOMBSTONE_BIT })
  }
}

/** The checked bytes of the hash section, whole entries in pieces. A piece is valid until the next one is asked for. */
async function* hashEntries(run: OpenRun): AsyncGenerator<DataView, void, undefined> {
  const { recordsBytes: start, recordCount } = run.figures
  const end = start + recordCount * HASH_ENTRY_BYTES
  const read = async (at: number, buffer: Uint8Array): Promise<DataView> => {
    const first = Math.floor(at / RUN_BLOCK_BYTES)
    const bytes = Math.min(PIECE_BYTES, end - at)
    await run.readBlocks(first, blockCount(at + bytes) - first, buffer)
    return new DataView(buffer.buffer, at - first * RUN_BLOCK_BYTES, bytes)
  }
  if (start === end) return
  const buffers = [
    new Uint8Array(bufferBytes(end - start)),
    new Uint8Array(bufferBytes(end - start - PIECE_BYTES)),
  ]
  let next = read(start, buffers[0]!)
  try {
    for (let at = start, piece = 1; at < end; at += PIECE_BYTES, piece++) {
      const entries = await next
      if (at + PIECE_BYTES < end) next = read(at + PIECE_BYTES, buffers[piece % 2]!)
      yield entries
    }
  } finally {
    // Of a search that ends early nobody asks for it.
    await next.catch(() => undefined)
  }
}

function bufferBytes(bytes: number): number {
  return Math.max(0, Math.min(BUFFER_BYTES, bytes + 2 * RUN_BLOCK_BYTES))
}
